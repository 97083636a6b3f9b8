// SPDX-License-Identifier: Apache-2.0
#include "server/ca/schedule.h"

#include <gtest/gtest.h>

namespace writ {
namespace {

constexpr int64_t kIssued = 1'790'000'000;
constexpr int64_t kHour = 3600;
constexpr int64_t kDay = 24 * kHour;

JournalRow Living(int64_t seconds) {
  return {.issued_at = kIssued, .not_after = kIssued + seconds};
}
int64_t After(Time t) { return ToUnixSeconds(t) - kIssued; }

TEST(ScheduleTest, PreparesAtHalfAndActivatesAtFiveSixthsOfALife) {
  EXPECT_EQ(After(PrepareSuccessorAt(Living(kDay))), 12 * kHour);
  EXPECT_EQ(After(ActivateSuccessorAt(Living(kDay))), 20 * kHour);
  EXPECT_EQ(After(PrepareSuccessorAt(Living(60))), 30);
  EXPECT_EQ(After(ActivateSuccessorAt(Living(60))), 50);
}

TEST(ScheduleTest, PreparesAtMost30AndActivatesAtMost7DaysBeforeTheEnd) {
  EXPECT_EQ(After(PrepareSuccessorAt(Living(365 * kDay))), 335 * kDay);
  EXPECT_EQ(After(ActivateSuccessorAt(Living(365 * kDay))), 358 * kDay);
}

TEST(ScheduleTest, KeepsTheExpiredFor24Hours) {
  EXPECT_EQ(After(PruneAt(kIssued)), 24 * kHour);
}

TEST(ScheduleTest, SignsWithinItsLifeOnly) {
  JournalRow row = Living(kDay);
  auto may_sign = [&](int64_t after) { return MaySignAt(row, FromUnixSeconds(kIssued + after)); };
  EXPECT_TRUE(may_sign(0));
  EXPECT_TRUE(may_sign(kDay - 1));
  EXPECT_FALSE(may_sign(kDay));
  EXPECT_TRUE(may_sign(-60));
  EXPECT_FALSE(may_sign(-61));
}

}  // namespace
}  // namespace writ
