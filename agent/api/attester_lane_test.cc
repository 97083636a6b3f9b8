// SPDX-License-Identifier: Apache-2.0
#include "agent/api/attester_lane.h"

#include <gtest/gtest.h>

#include <string>

namespace writ {
namespace {

TEST(AttesterLaneTest, UsersHaveTurnsAndWithinAUserProcesses) {
  AttesterLane<char> lane(1, 1);
  for (const char c : {'a', 'b', 'c'}) lane.Push(1, 1, c);
  lane.Push(1, 2, 'A');
  for (const char c : {'x', 'y'}) lane.Push(2, 3, c);
  std::string order;
  for (const uid_t uid : {1, 2, 1, 2, 1, 1}) {
    order += lane.Start().value();
    EXPECT_FALSE(lane.Start().has_value());
    lane.End(uid);
  }
  EXPECT_EQ(order, "axAybc");
  EXPECT_FALSE(lane.Start().has_value());
}

TEST(AttesterLaneTest, AUserLeavesThreadsToOthers) {
  AttesterLane<char> lane(4, 2);
  for (const char c : {'a', 'b', 'c', 'd'}) lane.Push(1, c, c);
  EXPECT_EQ(lane.Start(), 'a');
  EXPECT_EQ(lane.Start(), 'b');
  EXPECT_FALSE(lane.Start().has_value());
  for (const char c : {'x', 'y', 'z'}) lane.Push(2, 9, c);
  EXPECT_EQ(lane.Start(), 'x');
  EXPECT_EQ(lane.Start(), 'y');
  lane.Push(3, 10, 'm');
  EXPECT_FALSE(lane.Start().has_value());  // all threads are taken
  lane.End(1);
  EXPECT_EQ(lane.Start(), 'm');
  lane.End(2);
  EXPECT_EQ(lane.Start(), 'c');
}

TEST(AttesterLaneTest, WhatIsDrainedHasNoTurn) {
  AttesterLane<char> lane(4, 1);
  for (const char c : {'a', 'b'}) lane.Push(1, 1, c);
  lane.Push(2, 2, 'x');
  EXPECT_EQ(lane.Start(), 'a');
  EXPECT_EQ(lane.Drain(), (std::vector<char>{'b', 'x'}));
  lane.End(1);
  EXPECT_FALSE(lane.Start().has_value());
  lane.Push(2, 2, 'y');
  EXPECT_EQ(lane.Start(), 'y');
}

}  // namespace
}  // namespace writ
