// SPDX-License-Identifier: Apache-2.0
#include "core/base/status.h"

#include <gtest/gtest.h>

#include <memory>

namespace writ {
namespace {

Result<int> Half(int n) {
  if (n % 2 != 0) return InvalidArgument("odd");
  return n / 2;
}

Result<int> Quarter(int n) {
  int half = TRY(Half(n), "halve once");
  return TRY(Half(half), "halve twice");
}

Status OnlyEven(int n) {
  TRY(Half(n));
  return OkStatus();
}

TEST(StatusTest, TryYieldsTheValue) { EXPECT_EQ(*Quarter(8), 2); }

TEST(StatusTest, TryNamesTheDeedThatFailed) {
  EXPECT_EQ(Quarter(6).status(), InvalidArgument("halve twice: odd"));
  EXPECT_EQ(Quarter(5).status(), InvalidArgument("halve once: odd"));
}

TEST(StatusTest, TryWithoutDeedPassesTheStatusOn) {
  EXPECT_TRUE(OnlyEven(2).ok());
  EXPECT_EQ(OnlyEven(3), InvalidArgument("odd"));
}

TEST(StatusTest, AnnotateKeepsTheReason) {
  Status banned = PermissionDenied("agent is banned").WithReason(4);
  EXPECT_EQ(banned.Annotate("attest").reason(), 4);
  EXPECT_EQ(banned.Annotate("attest").message(), "attest: agent is banned");
}

TEST(StatusTest, ResultHoldsMoveOnlyValues) {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(7);
  std::unique_ptr<int> taken = std::move(result).value();
  EXPECT_EQ(*taken, 7);
}

TEST(StatusTest, CodesAreNamedAsGrpcNamesThem) {
  EXPECT_EQ(NotFound("no entry").ToString(), "NOT_FOUND: no entry");
  EXPECT_EQ(static_cast<int>(Code::kUnauthenticated), 16);
}

TEST(StatusDeathTest, ReadingTheValueOfAFailureEndsTheProcess) {
  Result<int> failure = NotFound("gone");
  EXPECT_DEATH((void)failure.value(), "broken invariant");
}

}  // namespace
}  // namespace writ
