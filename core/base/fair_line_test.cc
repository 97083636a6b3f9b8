// SPDX-License-Identifier: Apache-2.0
#include "core/base/fair_line.h"

#include <gtest/gtest.h>

#include <string>

namespace writ {
namespace {

std::string PopAll(FairLine<char>& line) {
  std::string popped;
  while (!line.Empty()) popped += line.Pop();
  return popped;
}

TEST(FairLineTest, OneProcessIsServedInOrder) {
  FairLine<char> line;
  for (const char c : {'a', 'b', 'c'}) line.Push(1, 1, c);
  EXPECT_EQ(PopAll(line), "abc");
}

TEST(FairLineTest, EachUserHasATurnAndWithinAUserEachProcess) {
  FairLine<char> line;
  for (const char c : {'a', 'b', 'c'}) line.Push(1, 1, c);
  for (const char c : {'A', 'B'}) line.Push(1, 2, c);  // forking gets a user no more turns
  for (const char c : {'x', 'y', 'z'}) line.Push(2, 3, c);
  EXPECT_EQ(PopAll(line), "axAybzBc");
}

TEST(FairLineTest, WhoComesIntoAFloodIsNextButOne) {
  FairLine<char> line;
  for (int i = 0; i < 100; ++i) line.Push(1, 1, '.');
  EXPECT_EQ(line.Pop(), '.');
  line.Push(2, 2, 'x');
  EXPECT_EQ(line.Pop(), '.');
  EXPECT_EQ(line.Pop(), 'x');
}

TEST(FairLineTest, WhatIsRemovedHasNoTurn) {
  FairLine<char> line;
  line.Push(1, 1, 'a');
  line.Push(1, 2, 'b');
  line.Push(2, 3, 'c');
  line.Remove(1, 1, 'a');
  line.Remove(1, 1, 'a');
  line.Remove(2, 3, 'c');
  EXPECT_EQ(PopAll(line), "b");
  line.Remove(1, 2, 'b');
  EXPECT_TRUE(line.Empty());
}

}  // namespace
}  // namespace writ
