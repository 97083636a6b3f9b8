// SPDX-License-Identifier: Apache-2.0
#include "core/base/clock.h"

#include <array>
#include <charconv>
#include <ctime>
#include <utility>

#include "core/base/bytes.h"

namespace writ {
namespace {

// From the largest to the smallest.
constexpr std::array<std::pair<int64_t, std::string_view>, 6> kUnits = {
    {{3'600'000'000'000, "h"},
     {60'000'000'000, "m"},
     {1'000'000'000, "s"},
     {1'000'000, "ms"},
     {1'000, "us"},
     {1, "ns"}}};

}  // namespace

std::string FormatTime(Time t) {
  std::time_t seconds = ToUnixSeconds(t);
  std::tm parts{};
  if (gmtime_r(&seconds, &parts) == nullptr) return std::to_string(seconds);
  std::array<char, 64> text{};
  size_t length = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return std::string(text.data(), length);
}

std::string FormatDuration(Duration d) {
  if (d == Duration::zero()) return "0s";
  std::string text;
  if (d < Duration::zero()) {
    text = "-";
    d = -d;
  }
  int64_t left = d.count();
  for (auto [size, unit] : kUnits) {
    if (left < size) continue;
    text += std::to_string(left / size);
    text += unit;
    left %= size;
  }
  return text;
}

Result<Duration> ParseDuration(std::string_view text) {
  if (text == "0") return Duration::zero();
  const std::string name = "duration `" + Printable(text, 64) + "`";
  constexpr std::string_view kExample = "; write it like 1h30m, 5s or 250ms";
  int64_t total = 0;
  size_t next_unit = 0;
  const char* at = text.data();
  const char* const end = at + text.size();
  do {
    int64_t count = 0;
    auto [stop, error] = std::from_chars(at, end, count);
    if (error != std::errc() || *at == '-') {
      return InvalidArgument(name + " must be whole numbers with units" + std::string(kExample));
    }
    std::string_view rest(stop, static_cast<size_t>(end - stop));
    std::string_view word = rest.substr(0, rest.find_first_of("0123456789"));
    if (word.empty()) {
      return InvalidArgument(name + " has a number without a unit" + std::string(kExample));
    }
    size_t unit = 0;
    while (unit < kUnits.size() && kUnits[unit].second != word) ++unit;
    if (unit == kUnits.size()) {
      return InvalidArgument(name + " has the unknown unit `" + Printable(word, 16) +
                             "`; units are h, m, s, ms, us and ns");
    }
    if (unit < next_unit) {
      return InvalidArgument(name + " must name each unit once, the larger first" +
                             std::string(kExample));
    }
    if (__builtin_mul_overflow(count, kUnits[unit].first, &count) ||
        __builtin_add_overflow(total, count, &total)) {
      return InvalidArgument(name + " is too long");
    }
    next_unit = unit + 1;
    at = stop + word.size();
  } while (at != end);
  return Duration(total);
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
