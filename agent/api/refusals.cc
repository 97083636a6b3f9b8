// SPDX-License-Identifier: Apache-2.0
#include "agent/api/refusals.h"

#include <algorithm>
#include <utility>

#include "core/base/bytes.h"

namespace writ {
namespace {

constexpr size_t kIdBytes = 6;  // told apart among kRefusalsMax, and short enough to be typed

size_t BytesOfRefusal(const Refusal& refusal) {
  size_t bytes = sizeof(refusal);
  for (const Selector& selector : refusal.selectors) bytes += BytesOf(selector);
  for (const AttestorFailure& failure : refusal.failures) {
    bytes += sizeof(failure) + failure.attestor.size() + failure.status.message().size();
  }
  return bytes;
}

}  // namespace

std::string Refusals::Add(std::string_view method, const Caller& caller, const Selectors& selectors,
                          const std::vector<AttestorFailure>& failures) {
  {
    MutexLock lock(mu_);
    ++count_;
  }
  return Keep(method, caller, selectors, failures);
}

std::string Refusals::Keep(std::string_view method, const Caller& caller,
                           const Selectors& selectors,
                           const std::vector<AttestorFailure>& failures) {
  std::string bytes(kIdBytes, '\0');
  random_->Fill(bytes.data(), bytes.size());
  Refusal refusal{.id = HexEncode(bytes),
                .at = clock_->Now(),
                .method = std::string(method),
                .pid = caller.pid(),
                .uid = caller.uid(),
                .gid = caller.gid(),
                .selectors = selectors,
                .failures = failures};
  MutexLock lock(mu_);
  const auto known = std::ranges::find_if(kept_, [&](const Refusal& kept) {
    return kept.pid == refusal.pid && kept.uid == refusal.uid && kept.gid == refusal.gid &&
           kept.selectors == selectors;
  });
  if (known != kept_.end()) {
    refusal.id = known->id;
    bytes_ -= BytesOfRefusal(*known);
    kept_.erase(known);
  }
  const size_t size = BytesOfRefusal(refusal);
  while (!kept_.empty() && (kept_.size() >= kRefusalsMax || bytes_ + size > kRefusalsBytesMax)) {
    bytes_ -= BytesOfRefusal(kept_.front());
    kept_.pop_front();
  }
  kept_.push_back(std::move(refusal));
  bytes_ += size;
  return kept_.back().id;
}

std::optional<Refusal> Refusals::Find(std::string_view id) const {
  MutexLock lock(mu_);
  const auto at = std::ranges::find(kept_, id, &Refusal::id);
  if (at == kept_.end()) return std::nullopt;
  return *at;
}

uint64_t Refusals::count() const {
  MutexLock lock(mu_);
  return count_;
}

}  // namespace writ
