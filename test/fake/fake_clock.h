// SPDX-License-Identifier: Apache-2.0
//
// FakeClock: time that moves only when a test says so. Waiters wake when Advance() passes their
// deadline, on a Notify(), or on a stop request.
// SeededRandom: the same bytes for the same seed.
#pragma once

#include <random>

#include "core/base/clock.h"
#include "core/base/random.h"

namespace writ {

class FakeClock final : public Clock {
 public:
  explicit FakeClock(Time start = FromUnixSeconds(1'790'000'000)) : now_(start) {}
  Time Now() const override;
  MonoTime Monotonic() const override;
  WakeReason WaitUntil(MonoTime deadline, Wake& wake, std::stop_token stop) override;
  using Clock::WaitUntil;

  void Advance(Duration by);      // both clocks
  void JumpWallTime(Duration by); // the wall clock alone, either way

 private:
  mutable Mutex mu_;
  Time now_ GUARDED_BY(mu_);
  MonoTime mono_ GUARDED_BY(mu_){};
};

class SeededRandom final : public Random {
 public:
  explicit SeededRandom(uint64_t seed) : engine_(seed) {}
  void Fill(void* data, size_t size) override;

 private:
  Mutex mu_;
  std::mt19937_64 engine_ GUARDED_BY(mu_);
};

}  // namespace writ
