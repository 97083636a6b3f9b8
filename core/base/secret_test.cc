// SPDX-License-Identifier: Apache-2.0
#include "core/base/secret.h"

#include <gtest/gtest.h>

#include <type_traits>

namespace writ {
namespace {

// A secret cannot be printed, copied or taken for text by accident.
static_assert(!std::is_copy_constructible_v<Secret>);
static_assert(!std::is_convertible_v<Secret, std::string>);
static_assert(!std::is_convertible_v<Secret, std::string_view>);

TEST(SecretTest, TakesTheBytesAndWipesTheSource) {
  for (size_t length : {5u, 500u}) {  // short text lives inside the string object
    std::string source(length, 's');
    Secret secret(std::move(source));
    EXPECT_EQ(secret.Reveal(), std::string(length, 's'));
    EXPECT_TRUE(source.empty());  // NOLINT: what a move leaves is part of the contract
  }
}

TEST(SecretTest, MovingLeavesNothing) {
  Secret a(std::string("hunter2"));
  Secret b(std::move(a));
  EXPECT_TRUE(a.empty());  // NOLINT
  EXPECT_EQ(b.Reveal(), "hunter2");
  Secret c(std::string("other"));
  c = std::move(b);
  EXPECT_TRUE(b.empty());  // NOLINT
  EXPECT_EQ(c.Reveal(), "hunter2");
  Secret& same = c;
  c = std::move(same);
  EXPECT_EQ(c.Reveal(), "hunter2");
}

TEST(SecretTest, ComparesByContent) {
  Secret a(std::string("abc"));
  EXPECT_EQ(a, a.Clone());
  EXPECT_FALSE(a == Secret(std::string("abd")));
  EXPECT_FALSE(a == Secret(std::string("ab")));
  EXPECT_TRUE(ConstantTimeEqual("", ""));
  EXPECT_FALSE(ConstantTimeEqual("a", ""));
}

TEST(SecretTest, WipeOverwrites) {
  char bytes[4] = {'a', 'b', 'c', 'd'};
  Wipe(bytes, 3);
  EXPECT_EQ(std::string(bytes, 4), std::string("\0\0\0d", 4));
}

}  // namespace
}  // namespace writ
