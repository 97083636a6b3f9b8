// SPDX-License-Identifier: Apache-2.0
#include "agent/attest/half_life.h"

#include <gtest/gtest.h>

#include "test/fake/fake_clock.h"

namespace writ {
namespace {

using std::chrono::seconds;

TEST(HalfLifeTest, IsHalfWithTenPercentEitherWay) {
  SeededRandom random(3);
  Time from = FromUnixSeconds(1'000'000);
  Time least = Time::max(), most = Time::min();
  for (int i = 0; i < 1000; ++i) {
    Time at = RenewTime(from, from + seconds(3600), from + seconds(10), random);
    EXPECT_GE(at, from + seconds(1620));
    EXPECT_LE(at, from + seconds(1980));
    least = std::min(least, at);
    most = std::max(most, at);
  }
  EXPECT_LT(least, from + seconds(1640));
  EXPECT_GT(most, from + seconds(1960));
}

TEST(HalfLifeTest, AClockThatIsAheadDoesNotRenewAllTheTime) {
  SeededRandom random(3);
  Time from = FromUnixSeconds(1'000'000);
  Time now = from + seconds(3000);
  EXPECT_GE(RenewTime(from, from + seconds(3600), now, random), now + seconds(240));
}

}  // namespace
}  // namespace writ
