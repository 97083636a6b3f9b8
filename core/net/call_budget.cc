// SPDX-License-Identifier: Apache-2.0
#include "core/net/call_budget.h"

#include <utility>

#include "core/net/http2_calls.h"

namespace writ {
namespace {

// RFC 9113 section 6.8: length 8, type 7, no flags, stream 0; the last stream; ENHANCE_YOUR_CALM.
constexpr std::string_view kGoawayHead("\0\0\x08\x07\0\0\0\0\0", 9);
constexpr std::string_view kEnhanceYourCalm("\0\0\0\x0b", 4);

class ClientCallBudget final : public ByteWatch {
 public:
  explicit ClientCallBudget(std::shared_ptr<ClientLimits::Place> place)
      : place_(std::move(place)) {}

  Status FromWire(std::string_view bytes) override {
    const size_t abandoned = calls_.FromClient(bytes);
    TRY(calls_.headers().Verdict());
    return Charge(abandoned);
  }
  Status ToWire(std::string_view bytes) override { return Charge(calls_.FromServer(bytes)); }

  std::string LastWords() const override {
    if (!calls_.ServerAtBoundary()) return "";
    std::string words(kGoawayHead);
    for (int shift = 24; shift >= 0; shift -= 8) {
      words.push_back(static_cast<char>(calls_.last_stream() >> shift & 0xff));
    }
    return words.append(kEnhanceYourCalm);
  }

 private:
  Status Charge(size_t abandoned) {
    if (!place_->Abandon(abandoned)) {
      return ResourceExhausted(
          "the client resets calls before they are answered, faster than is allowed");
    }
    if (!place_->HoldCalls(calls_.open())) {
      return ResourceExhausted("the client has its share of the open calls already");
    }
    return OkStatus();
  }

  const std::shared_ptr<ClientLimits::Place> place_;
  ConnectionCalls calls_;
};

}  // namespace

std::unique_ptr<ByteWatch> CallBudget(std::shared_ptr<ClientLimits::Place> place) {
  return std::make_unique<ClientCallBudget>(std::move(place));
}

}  // namespace writ
