// SPDX-License-Identifier: Apache-2.0
#include "core/base/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "test/fake/fake_clock.h"

namespace writ {
namespace {

TEST(RandomTest, TheSystemSourceFillsEveryByteAndDoesNotRepeat) {
  SystemRandom random;
  std::string bytes = random.Bytes(100'000);
  for (int value = 0; value < 256; ++value) {
    EXPECT_NE(std::ranges::find(bytes, static_cast<char>(value)), bytes.end()) << value;
  }
  EXPECT_NE(random.Bytes(32), random.Bytes(32));
  EXPECT_EQ(random.Bytes(0), "");
}

TEST(RandomTest, UuidsAreVersionFourInLowerCase) {
  SystemRandom random;
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    std::string uuid = random.Uuid();
    ASSERT_EQ(uuid.size(), 36u);
    for (size_t at : {8u, 13u, 18u, 23u}) EXPECT_EQ(uuid[at], '-');
    EXPECT_EQ(uuid[14], '4');
    EXPECT_NE(std::string("89ab").find(uuid[19]), std::string::npos);
    EXPECT_EQ(uuid.find_first_not_of("0123456789abcdef-"), std::string::npos);
    EXPECT_TRUE(seen.insert(uuid).second);
  }
}

TEST(RandomTest, UniformStaysBelowOne) {
  SeededRandom random(1);
  double low = 1;
  double high = 0;
  for (int i = 0; i < 10'000; ++i) {
    double value = random.Uniform();
    low = std::min(low, value);
    high = std::max(high, value);
  }
  EXPECT_GE(low, 0.0);
  EXPECT_LT(low, 0.01);
  EXPECT_LT(high, 1.0);
  EXPECT_GT(high, 0.99);
}

TEST(RandomTest, ASeedGivesTheSameBytes) {
  EXPECT_EQ(SeededRandom(5).Bytes(64), SeededRandom(5).Bytes(64));
  EXPECT_NE(SeededRandom(5).Bytes(64), SeededRandom(6).Bytes(64));
}

}  // namespace
}  // namespace writ
