// SPDX-License-Identifier: Apache-2.0
//
// Clock: the only source of time, and Wake: the only way to sleep. A loop that acts on "an event or
// a moment, whichever comes first" holds a Wake, events call Notify(), and the loop calls
// clock.WaitUntil(). Under FakeClock (test/fake) time moves only when a test says so.
//
// Threads: all thread-safe.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <stop_token>
#include <string>
#include <string_view>

#include "core/base/mutex.h"
#include "core/base/status.h"

namespace writ {

using Duration = std::chrono::nanoseconds;
// Wall time in UTC: what stands in certificates and tokens. It can jump.
using Time = std::chrono::time_point<std::chrono::system_clock, Duration>;
// Time that never jumps, for intervals and deadlines within this process.
using MonoTime = std::chrono::time_point<std::chrono::steady_clock, Duration>;

// Times end in 2262. What is said to be later (or earlier than 1677) becomes the last (first) one
// that leaves room for a lifetime or a skew to be added.
inline Time FromUnixSeconds(int64_t seconds) {
  constexpr auto kRoom = std::chrono::days(366);
  constexpr int64_t kFirst = std::chrono::ceil<std::chrono::seconds>(
                                 Time::min().time_since_epoch() + kRoom).count();
  constexpr int64_t kLast = std::chrono::floor<std::chrono::seconds>(
                                Time::max().time_since_epoch() - kRoom).count();
  return Time(std::chrono::seconds(std::clamp(seconds, kFirst, kLast)));
}
// Rounds toward negative infinity.
inline int64_t ToUnixSeconds(Time t) {
  return std::chrono::floor<std::chrono::seconds>(t.time_since_epoch()).count();
}
// "2026-01-31T12:00:00Z"
std::string FormatTime(Time t);
// "1h30m", "5s", "250ms": the way that durations are written in configuration.
std::string FormatDuration(Duration d);
// The inverse, for durations that are not negative: whole numbers, each with its unit, the larger
// unit first; "0" alone needs none.
Result<Duration> ParseDuration(std::string_view text);

// A latch that one waiter consumes: Notify() before the wait is not lost, many Notify() count once.
class Wake {
 public:
  void Notify();

 private:
  friend class SystemClock;
  friend class FakeClock;
  Mutex mu_;
  CondVar cv_;
  bool notified_ GUARDED_BY(mu_) = false;
};

enum class WakeReason { kTime, kNotified, kStopped };

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Time Now() const = 0;
  virtual MonoTime Monotonic() const = 0;
  // Waits until `deadline`, a Notify() on `wake` (which it consumes), or a stop request, and says
  // which came. At most one thread waits on one Wake at a time.
  virtual WakeReason WaitUntil(MonoTime deadline, Wake& wake, std::stop_token stop) = 0;

  // Waits until `deadline` alone; false when stopped first.
  bool WaitUntil(MonoTime deadline, std::stop_token stop);
};

class SystemClock final : public Clock {
 public:
  Time Now() const override;
  MonoTime Monotonic() const override;
  WakeReason WaitUntil(MonoTime deadline, Wake& wake, std::stop_token stop) override;
  using Clock::WaitUntil;
};

}  // namespace writ
