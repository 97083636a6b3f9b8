// SPDX-License-Identifier: Apache-2.0
#include "core/base/nearest.h"

#include <gtest/gtest.h>

namespace writ {
namespace {

TEST(NearestTest, CountsInsertionsDeletionsReplacementsAndSwaps) {
  EXPECT_EQ(EditDistance("", ""), 0u);
  EXPECT_EQ(EditDistance("", "abc"), 3u);
  EXPECT_EQ(EditDistance("abc", "abc"), 0u);
  EXPECT_EQ(EditDistance("abc", "ac"), 1u);
  EXPECT_EQ(EditDistance("sokcet", "socket"), 1u);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3u);
  EXPECT_EQ(EditDistance("abcd", "dcba"), EditDistance("dcba", "abcd"));
}

TEST(NearestTest, NamesTheWordThatWasMeantOrNone) {
  const std::vector<std::string> known{"socket", "address", "http", "ttl"};
  EXPECT_EQ(NearestWord("sokcet", known), "socket");
  EXPECT_EQ(NearestWord("adress", known), "address");
  EXPECT_EQ(NearestWord("htp", known), "http");
  EXPECT_EQ(NearestWord("tt", known), "ttl");
  EXPECT_EQ(NearestWord("bundle", known), "");
  EXPECT_EQ(NearestWord("x", known), "");
  EXPECT_EQ(NearestWord("", known), "");
  EXPECT_EQ(NearestWord(std::string(100'000, 'a'), known), "");
}

}  // namespace
}  // namespace writ
