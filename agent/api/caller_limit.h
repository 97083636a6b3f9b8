// SPDX-License-Identifier: Apache-2.0
//
// CallerLimit: how often callers with the same selectors may call a method of the Workload API: so
// many times in a second, all of them at once if they like. The agent itself is exempt, so that a
// limit never makes it look unwell.
//
// Trust: callers are hostile; the table is bounded, and the callers that were seen least recently
// leave it, which gives them a fresh start.
// Threads: thread-safe.
#pragma once

#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/base/clock.h"
#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/net/peer.h"
#include "core/spiffe/selector.h"

namespace writ {

inline constexpr size_t kLimitedCallersMax = 10'000;
inline constexpr int64_t kCallsPerSecondMax = 1'000'000;

class CallerLimit {
 public:
  // `calls_per_second` 0: no limit.
  CallerLimit(int64_t calls_per_second, Clock* clock);

  // ResourceExhausted at once when it is too soon.
  Status Admit(std::string_view method, const Caller& caller, const Selectors& selectors)
      EXCLUDES(mu_);
  size_t size() const EXCLUDES(mu_);

 private:
  // Calls are spaced evenly; `next` is when the next one would be, if none was early.
  struct Seen {
    std::string key;
    MonoTime next;
  };

  const int64_t calls_per_second_;  // constant after construction
  const Duration spacing_;          // likewise
  Clock* const clock_;
  mutable Mutex mu_;
  std::list<Seen> seen_ GUARDED_BY(mu_);  // the most recent first
  std::unordered_map<std::string_view, std::list<Seen>::iterator> by_key_ GUARDED_BY(mu_);
};

}  // namespace writ
