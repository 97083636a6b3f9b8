// SPDX-License-Identifier: Apache-2.0
#include "core/base/clock.h"

#include <array>
#include <ctime>
#include <utility>

namespace writ {

std::string FormatTime(Time t) {
  std::time_t seconds = ToUnixSeconds(t);
  std::tm parts{};
  if (gmtime_r(&seconds, &parts) == nullptr) return std::to_string(seconds);
  std::array<char, 64> text{};
  size_t length = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return std::string(text.data(), length);
}

std::string FormatDuration(Duration d) {
  using namespace std::chrono;
  if (d == Duration::zero()) return "0s";
  std::string text;
  if (d < Duration::zero()) {
    text = "-";
    d = -d;
  }
  constexpr std::array<std::pair<int64_t, const char*>, 6> kUnits = {{{3'600'000'000'000, "h"},
                                                                      {60'000'000'000, "m"},
                                                                      {1'000'000'000, "s"},
                                                                      {1'000'000, "ms"},
                                                                      {1'000, "us"},
                                                                      {1, "ns"}}};
  int64_t left = d.count();
  for (auto [size, unit] : kUnits) {
    if (left < size) continue;
    text += std::to_string(left / size) + unit;
    left %= size;
  }
  return text;
}

void Wake::Notify() {
  {
    MutexLock lock(mu_);
    notified_ = true;
  }
  cv_.NotifyAll();
}

bool Clock::WaitUntil(MonoTime deadline, std::stop_token stop) {
  Wake wake;
  return WaitUntil(deadline, wake, std::move(stop)) == WakeReason::kTime;
}

Time SystemClock::Now() const {
  return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
}

MonoTime SystemClock::Monotonic() const {
  return std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now());
}

WakeReason SystemClock::WaitUntil(MonoTime deadline, Wake& wake, std::stop_token stop) {
  std::stop_callback on_stop(stop, [&wake] {
    MutexLock lock(wake.mu_);
    wake.cv_.NotifyAll();
  });
  MutexLock lock(wake.mu_);
  while (true) {
    if (stop.stop_requested()) return WakeReason::kStopped;
    if (std::exchange(wake.notified_, false)) return WakeReason::kNotified;
    if (Monotonic() >= deadline) return WakeReason::kTime;
    wake.cv_.WaitUntil(wake.mu_, deadline);
  }
}

}  // namespace writ
