// SPDX-License-Identifier: Apache-2.0
#include "core/net/log_limit.h"

#include <gtest/gtest.h>

#include "test/fake/fake_clock.h"

namespace writ {
namespace {

TEST(LogLimitTest, LetsOneLineThroughEachMinute) {
  FakeClock clock;
  LogLimit limit(&clock);
  EXPECT_TRUE(limit.Due());
  EXPECT_FALSE(limit.Due());
  clock.Advance(std::chrono::minutes(1));
  EXPECT_TRUE(limit.Due());
}

TEST(LogRateTest, LeavesOutWhatIsTooMuchAndSaysHowManyThatWere) {
  FakeClock clock;
  LogRate rate(&clock);
  for (int i = 0; i < LogRate::kLinesMax; ++i) EXPECT_EQ(rate.Take(), 0u);
  EXPECT_EQ(rate.Take(), std::nullopt);
  EXPECT_EQ(rate.Take(), std::nullopt);
  clock.Advance(std::chrono::seconds(2));
  EXPECT_EQ(rate.Take(), 2u);
  EXPECT_EQ(rate.Take(), 0u);
  EXPECT_EQ(rate.Take(), std::nullopt);
}

TEST(LogRateTest, TellsOneCauseOnceAMinute) {
  FakeClock clock;
  LogRate rate(&clock);
  EXPECT_EQ(rate.Take("full"), 0u);
  EXPECT_EQ(rate.Take("full"), std::nullopt);
  EXPECT_EQ(rate.Take("full"), std::nullopt);
  EXPECT_EQ(rate.Take("broken"), 2u);
  EXPECT_EQ(rate.Take("full"), 0u);
  clock.Advance(std::chrono::minutes(1));
  EXPECT_EQ(rate.Take("full"), 0u);
  EXPECT_EQ(rate.Take(), 0u);
  EXPECT_EQ(rate.Take(), 0u);
}

}  // namespace
}  // namespace writ
