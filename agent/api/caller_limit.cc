// SPDX-License-Identifier: Apache-2.0
#include "agent/api/caller_limit.h"

#include <unistd.h>

#include <algorithm>

#include "core/crypto/digest.h"

namespace writ {
namespace {

constexpr Duration kBurst = std::chrono::seconds(1);

// Of one size, however many selectors there are.
std::string KeyOf(std::string_view method, const Selectors& selectors) {
  Sha256Stream digest;
  const std::string_view end("\0", 1);
  digest.Update(method);
  for (const Selector& selector : selectors) {
    digest.Update(end);
    digest.Update(selector.type);
    digest.Update(end);
    digest.Update(selector.value);
  }
  return digest.Finish();
}

}  // namespace

CallerLimit::CallerLimit(int64_t calls_per_second, Clock* clock)
    : calls_per_second_(calls_per_second),
      spacing_(calls_per_second > 0 ? kBurst / calls_per_second : Duration::zero()),
      clock_(clock) {}

Status CallerLimit::Admit(std::string_view method, const Caller& caller,
                          const Selectors& selectors) {
  if (calls_per_second_ == 0 || caller.pid() == getpid()) return OkStatus();
  std::string key = KeyOf(method, selectors);
  const MonoTime now = clock_->Monotonic();
  MutexLock lock(mu_);
  const auto at = by_key_.find(key);
  if (at == by_key_.end()) {
    if (seen_.size() >= kLimitedCallersMax) {
      by_key_.erase(seen_.back().key);
      seen_.pop_back();
    }
    seen_.push_front(Seen{.key = std::move(key), .next = now});
    by_key_.emplace(seen_.front().key, seen_.begin());
  } else {
    seen_.splice(seen_.begin(), seen_, at->second);
  }
  MonoTime& next = seen_.front().next;
  next = std::max(next, now);
  if (next - now > kBurst - spacing_) {
    return ResourceExhausted("too many calls of " + std::string(method) +
                             ": callers with these selectors may make " +
                             std::to_string(calls_per_second_) +
                             " in a second (the agent's setting rate_limit); call again later");
  }
  next += spacing_;
  return OkStatus();
}

size_t CallerLimit::size() const {
  MutexLock lock(mu_);
  return seen_.size();
}

}  // namespace writ
