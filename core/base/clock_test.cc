// SPDX-License-Identifier: Apache-2.0
#include "core/base/clock.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>

#include "core/base/thread.h"
#include "test/fake/fake_clock.h"

namespace writ {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

TEST(TimeTest, FormatsAsRfc3339InUtc) {
  EXPECT_EQ(FormatTime(FromUnixSeconds(0)), "1970-01-01T00:00:00Z");
  EXPECT_EQ(FormatTime(FromUnixSeconds(1'790'000'000)), "2026-09-21T14:13:20Z");
  EXPECT_EQ(FormatTime(FromUnixSeconds(-1)), "1969-12-31T23:59:59Z");
}

TEST(TimeTest, TimesBeyondWhatCanBeSaidStayFarAway) {
  constexpr int64_t kYear9999 = 253'402'300'799;
  for (int64_t far : {kYear9999, INT64_MAX}) {
    EXPECT_EQ(FormatTime(FromUnixSeconds(far)).substr(0, 4), "2261") << far;
    EXPECT_GT(FromUnixSeconds(far) + std::chrono::hours(24 * 365), FromUnixSeconds(far)) << far;
  }
  for (int64_t far : {-kYear9999, INT64_MIN}) {
    EXPECT_LT(FromUnixSeconds(far), FromUnixSeconds(0)) << far;
    EXPECT_LT(FromUnixSeconds(far) - std::chrono::hours(24 * 365), FromUnixSeconds(far)) << far;
  }
}

TEST(TimeTest, UnixSecondsRoundTowardThePast) {
  EXPECT_EQ(ToUnixSeconds(FromUnixSeconds(5) + milliseconds(999)), 5);
  EXPECT_EQ(ToUnixSeconds(FromUnixSeconds(0) - milliseconds(1)), -1);
}

TEST(DurationTest, FormatsAsConfigurationIsWritten) {
  EXPECT_EQ(FormatDuration(Duration::zero()), "0s");
  EXPECT_EQ(FormatDuration(hours(1) + minutes(30)), "1h30m");
  EXPECT_EQ(FormatDuration(milliseconds(1500)), "1s500ms");
  EXPECT_EQ(FormatDuration(-seconds(5)), "-5s");
}

TEST(DurationTest, ParsesWhatItFormats) {
  for (Duration d : {Duration::zero(), Duration(hours(24)), Duration(hours(1) + minutes(30)),
                     Duration(seconds(5)), Duration(milliseconds(250)), Duration(seconds(90061)),
                     Duration(hours(2'000'000))}) {
    Result<Duration> parsed = ParseDuration(FormatDuration(d));
    ASSERT_TRUE(parsed.ok()) << parsed.status().ToString();
    EXPECT_EQ(*parsed, d);
  }
  EXPECT_EQ(*ParseDuration("90m"), Duration(minutes(90)));
  EXPECT_EQ(*ParseDuration("0"), Duration::zero());
}

TEST(DurationTest, RefusesMissingAndForeignUnits) {
  for (std::string_view text : {"", "5", "h", "1d", "1.5h", "-5s", "+5s", "1h 30m", "30m1h", "1h1h",
                                "5S", "1h30", "9999999999h", "99999999999999999999s", " 5s",
                                "5s "}) {
    Result<Duration> parsed = ParseDuration(text);
    EXPECT_EQ(parsed.code(), Code::kInvalidArgument) << text;
  }
  EXPECT_EQ(ParseDuration("5").status().message(),
            "duration `5` has a number without a unit; write it like 1h30m, 5s or 250ms");
  EXPECT_EQ(ParseDuration("7d").status().message(),
            "duration `7d` has the unknown unit `d`; units are h, m, s, ms, us and ns");
}

// The same contract for the real clock and the fake one, where time need not pass.
class ClockContractTest : public testing::TestWithParam<bool> {
 protected:
  ClockContractTest() {
    if (GetParam()) {
      clock_ = std::make_unique<SystemClock>();
    } else {
      clock_ = std::make_unique<FakeClock>();
    }
  }
  std::unique_ptr<Clock> clock_;
};

TEST_P(ClockContractTest, APassedDeadlineReturnsAtOnce) {
  Wake wake;
  EXPECT_EQ(clock_->WaitUntil(clock_->Monotonic(), wake, {}), WakeReason::kTime);
  EXPECT_TRUE(clock_->WaitUntil(clock_->Monotonic() - hours(1), {}));
}

TEST_P(ClockContractTest, ANotifyBeforeTheWaitIsKeptAndManyCountOnce) {
  Wake wake;
  wake.Notify();
  wake.Notify();
  MonoTime far = clock_->Monotonic() + hours(1);
  EXPECT_EQ(clock_->WaitUntil(far, wake, {}), WakeReason::kNotified);
  EXPECT_EQ(clock_->WaitUntil(clock_->Monotonic(), wake, {}), WakeReason::kTime);
}

TEST_P(ClockContractTest, ANotifyEndsAWait) {
  Wake wake;
  Thread notifier("notifier", [&wake](std::stop_token) { wake.Notify(); });
  MonoTime far = clock_->Monotonic() + hours(1);
  EXPECT_EQ(clock_->WaitUntil(far, wake, {}), WakeReason::kNotified);
}

TEST_P(ClockContractTest, AStopRequestEndsAWaitAndWinsOverANotify) {
  std::stop_source stop;
  Wake wake;
  MonoTime far = clock_->Monotonic() + hours(1);
  {
    Thread stopper("stopper", [&stop](std::stop_token) { stop.request_stop(); });
    EXPECT_EQ(clock_->WaitUntil(far, wake, stop.get_token()), WakeReason::kStopped);
  }
  wake.Notify();
  EXPECT_EQ(clock_->WaitUntil(far, wake, stop.get_token()), WakeReason::kStopped);
  EXPECT_FALSE(clock_->WaitUntil(far, stop.get_token()));
}

INSTANTIATE_TEST_SUITE_P(Clocks, ClockContractTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "System" : "Fake"; });

TEST(SystemClockTest, WaitsForItsDeadline) {
  SystemClock clock;
  MonoTime deadline = clock.Monotonic() + milliseconds(5);
  EXPECT_TRUE(clock.WaitUntil(deadline, {}));
  EXPECT_GE(clock.Monotonic(), deadline);
}

TEST(FakeClockTest, TimeMovesOnlyWhenTold) {
  FakeClock clock;
  Time start = clock.Now();
  MonoTime mono = clock.Monotonic();
  EXPECT_EQ(clock.Now(), start);
  clock.Advance(hours(1));
  EXPECT_EQ(clock.Now(), start + hours(1));
  EXPECT_EQ(clock.Monotonic(), mono + hours(1));
  clock.JumpWallTime(-hours(2));
  EXPECT_EQ(clock.Now(), start - hours(1));
  EXPECT_EQ(clock.Monotonic(), mono + hours(1));
}

TEST(FakeClockTest, AdvancePastTheDeadlineWakesTheWaiter) {
  FakeClock clock;
  std::atomic<bool> woke = false;
  {
    Thread waiter("waiter", [&](std::stop_token stop) {
      woke = clock.WaitUntil(clock.Monotonic() + hours(1), stop);
    });
    while (!woke) clock.Advance(minutes(20));
  }
  EXPECT_TRUE(woke);
}

}  // namespace
}  // namespace writ
