// SPDX-License-Identifier: Apache-2.0
#include "test/fake/fake_clock.h"

#include <utility>

namespace writ {

Time FakeClock::Now() const {
  MutexLock lock(mu_);
  return now_;
}

MonoTime FakeClock::Monotonic() const {
  MutexLock lock(mu_);
  return mono_;
}

// Looks every few real milliseconds instead of being woken by Advance(): no lock order between the
// clock and the waiters, and no wake-up can be lost. Only fake time decides.
WakeReason FakeClock::WaitUntil(MonoTime deadline, Wake& wake, std::stop_token stop) {
  MutexLock lock(wake.mu_);
  while (true) {
    if (stop.stop_requested()) return WakeReason::kStopped;
    if (std::exchange(wake.notified_, false)) return WakeReason::kNotified;
    if (Monotonic() >= deadline) return WakeReason::kTime;
    wake.cv_.WaitUntil(wake.mu_, std::chrono::steady_clock::now() + std::chrono::milliseconds(2));
  }
}

void FakeClock::Advance(Duration by) {
  MutexLock lock(mu_);
  now_ += by;
  mono_ += by;
}

void FakeClock::JumpWallTime(Duration by) {
  MutexLock lock(mu_);
  now_ += by;
}

void SeededRandom::Fill(void* data, size_t size) {
  MutexLock lock(mu_);
  auto* out = static_cast<unsigned char*>(data);
  for (size_t i = 0; i < size; ++i) out[i] = static_cast<unsigned char>(engine_());
}

}  // namespace writ
