// SPDX-License-Identifier: Apache-2.0
#include "agent/api/refusals.h"

#include <gtest/gtest.h>

#include "test/fake/fake_clock.h"

namespace writ {
namespace {

class RefusalsTest : public testing::Test {
 protected:
  std::string Add(pid_t pid, int uid) {
    return refusals_.Add("FetchX509SVID", Caller(pid, 1, 2, Fd()),
                        {Selector{"unix", "uid:" + std::to_string(uid)}}, {});
  }
  FakeClock clock_;
  SeededRandom random_{5};
  Refusals refusals_{&clock_, &random_};
};

TEST_F(RefusalsTest, KeepsWhatWasKnownUnderAnIdThatCanBeTyped) {
  const std::string id = refusals_.Add("FetchX509SVID", Caller(7, 1, 2, Fd()),
                                      {Selector{"unix", "uid:1"}}, {{"k8s", Internal("away")}});
  EXPECT_EQ(id.size(), 12u);
  const auto refusal = refusals_.Find(id);
  ASSERT_TRUE(refusal.has_value());
  EXPECT_EQ(refusal->pid, 7);
  EXPECT_EQ(refusal->uid, 1u);
  EXPECT_EQ(refusal->gid, 2u);
  EXPECT_EQ(refusal->at, clock_.Now());
  EXPECT_EQ(refusal->selectors.size(), 1u);
  EXPECT_EQ(refusal->failures.at(0).attestor, "k8s");
  EXPECT_FALSE(refusals_.Find("nothing").has_value());
}

TEST_F(RefusalsTest, OneThatIsRefusedAgainKeepsItsId) {
  const std::string id = Add(1, 1);
  clock_.Advance(std::chrono::seconds(9));
  EXPECT_EQ(Add(1, 1), id);
  EXPECT_EQ(refusals_.Find(id)->at, clock_.Now());
  EXPECT_NE(Add(2, 1), id);
  EXPECT_NE(Add(1, 2), id);
  EXPECT_EQ(refusals_.count(), 4u);
}

TEST_F(RefusalsTest, TheOldestMakesRoom) {
  const std::string first = Add(1, 1);
  const std::string second = Add(2, 1);
  Add(1, 1);  // now the newer one
  for (size_t i = 0; i < kRefusalsMax - 1; ++i) Add(static_cast<pid_t>(10 + i), 1);
  EXPECT_TRUE(refusals_.Find(first).has_value());
  EXPECT_FALSE(refusals_.Find(second).has_value());
}

TEST_F(RefusalsTest, TheOldestMakeRoomForBytesToo) {
  const std::string first = Add(1, 1);
  const std::string value(kRefusalsBytesMax / 4, 'v');
  const auto add_large = [&](pid_t pid, const std::string& large) {
    return refusals_.Add("FetchX509SVID", Caller(pid, 1, 2, Fd()), {Selector{"fake", large}}, {});
  };
  const std::string second = add_large(2, value);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(add_large(2, value), second);  // counted once
  EXPECT_TRUE(refusals_.Find(first).has_value());
  for (pid_t pid = 3; pid < 6; ++pid) add_large(pid, value);
  EXPECT_FALSE(refusals_.Find(first).has_value());
  EXPECT_FALSE(refusals_.Find(second).has_value());
  EXPECT_TRUE(refusals_.Find(add_large(6, std::string(2 * kRefusalsBytesMax, 'v'))).has_value());
}

TEST_F(RefusalsTest, AFloodLeavesNoFloodInTheLog) {
  size_t lines = 0;
  for (int i = 0; i < 1000; ++i) lines += refusals_.LogTurn().has_value();
  EXPECT_EQ(lines, static_cast<size_t>(LogRate::kLinesMax));
  clock_.Advance(std::chrono::seconds(1));
  EXPECT_EQ(refusals_.LogTurn(), 1000 - lines);
}

}  // namespace
}  // namespace writ
