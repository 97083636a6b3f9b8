// SPDX-License-Identifier: Apache-2.0
//
// LogLimit: lets a line that hostile clients can cause through once a minute, not once an attempt.
// LogRate: lets lines that differ through at a rate that people can read, the same line once a
// minute, and counts the others.
//
// Threads: thread-safe.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

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

class LogRate {
 public:
  // Lines at once; and again one each second.
  static constexpr double kLinesMax = 50;
  static constexpr Duration kSameAgainAfter = std::chrono::minutes(1);

  explicit LogRate(Clock* clock) : clock_(clock), since_(clock->Monotonic()) {}
  // How many lines were left out since the last that was let through; nothing: leave this one out.
  // `cause`: when it is that of the last line, within a minute, this one is left out; empty: none.
  std::optional<size_t> Take(std::string_view cause = {}) EXCLUDES(mu_) {
    MonoTime now = clock_->Monotonic();
    MutexLock lock(mu_);
    lines_ = std::min(kLinesMax, lines_ + std::chrono::duration<double>(now - since_).count());
    since_ = now;
    const bool same_again =
        !cause.empty() && cause == cause_ && now - caused_at_ < kSameAgainAfter;
    if (lines_ < 1 || same_again) {
      ++left_out_;
      return std::nullopt;
    }
    lines_ -= 1;
    cause_ = cause;
    caused_at_ = now;
    return std::exchange(left_out_, 0);
  }

 private:
  Clock* const clock_;
  Mutex mu_;
  MonoTime since_ GUARDED_BY(mu_);
  double lines_ GUARDED_BY(mu_) = kLinesMax;
  size_t left_out_ GUARDED_BY(mu_) = 0;
  std::string cause_ GUARDED_BY(mu_);  // the last that was let through, and when
  MonoTime caused_at_ GUARDED_BY(mu_){};
};

}  // namespace writ
