// SPDX-License-Identifier: Apache-2.0
//
// LogLimit: lets a line that hostile clients can cause through once a minute, not once an attempt.
//
// Threads: thread-safe.
#pragma once

#include "core/base/clock.h"
#include "core/base/mutex.h"

namespace writ {

class LogLimit {
 public:
  explicit LogLimit(Clock* clock) : clock_(clock) {}
  bool Due() EXCLUDES(mu_) {
    MonoTime now = clock_->Monotonic();
    MutexLock lock(mu_);
    if (now < next_) return false;
    next_ = now + kInterval;
    return true;
  }

 private:
  static constexpr Duration kInterval = std::chrono::minutes(1);

  Clock* const clock_;
  Mutex mu_;
  MonoTime next_ GUARDED_BY(mu_){};
};

}  // namespace writ
