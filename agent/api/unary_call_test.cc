// SPDX-License-Identifier: Apache-2.0
#include "agent/api/unary_call.h"

#include <gtest/gtest.h>

#include <limits>

namespace writ {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Time kNow = Time(seconds(1'000'000'000));
constexpr Duration kAtMost = seconds(30);

Duration LeftUntil(int64_t unix_seconds, int32_t nanoseconds = 0) {
  return TimeLeft(gpr_timespec{unix_seconds, nanoseconds, GPR_CLOCK_REALTIME}, kNow, kAtMost);
}

TEST(TimeLeftTest, IsTheTimeUntilTheDeadline) {
  EXPECT_EQ(LeftUntil(1'000'000'007, 500'000'000), milliseconds(7500));
  EXPECT_EQ(LeftUntil(999'999'999), Duration::zero());
  EXPECT_EQ(LeftUntil(1'000'000'031), kAtMost);
}

TEST(TimeLeftTest, ADeadlineOutOfReachIsNone) {
  EXPECT_EQ(TimeLeft(gpr_inf_future(GPR_CLOCK_REALTIME), kNow, kAtMost), kAtMost);
  EXPECT_EQ(LeftUntil(-1), kAtMost);
  const int64_t longest_of_grpc = 99'999'999 * int64_t{3600};  // "99999999H"
  EXPECT_EQ(LeftUntil(1'000'000'000 + longest_of_grpc), kAtMost);
  constexpr int64_t kReach = std::numeric_limits<int64_t>::max() / 1'000'000'000;
  for (const int64_t beyond : {-1, 0, 1}) {
    EXPECT_EQ(LeftUntil(kReach + beyond, 999'999'999), kAtMost);
  }
}

}  // namespace
}  // namespace writ
