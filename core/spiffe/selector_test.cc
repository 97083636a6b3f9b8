// SPDX-License-Identifier: Apache-2.0
#include "core/spiffe/selector.h"

#include <gtest/gtest.h>

namespace writ {
namespace {

TEST(SelectorTest, SplitsAtTheFirstColon) {
  Selector selector = Selector::Parse("unix:uid:1000").value();
  EXPECT_EQ(selector.type, "unix");
  EXPECT_EQ(selector.value, "uid:1000");
  EXPECT_EQ(selector.text(), "unix:uid:1000");
}

TEST(SelectorTest, RejectsMissingParts) {
  for (std::string text : {"", "unix", ":", ":value", "unix:"}) {
    EXPECT_EQ(Selector::Parse(text).code(), Code::kInvalidArgument) << text;
  }
  EXPECT_FALSE(Selector::Make("a:b", "value").ok());
}

TEST(SelectorTest, IsBoundedInLength) {
  EXPECT_TRUE(Selector::Make("t", std::string(kSelectorBytesMax - 2, 'v')).ok());
  EXPECT_FALSE(Selector::Make("t", std::string(kSelectorBytesMax - 1, 'v')).ok());
}

TEST(SelectorsTest, AreASortedSet) {
  Selectors a{{"b", "1"}, {"a", "2"}, {"b", "1"}, {"a", "1"}};
  Selectors b{{"a", "1"}, {"a", "2"}, {"b", "1"}};
  EXPECT_EQ(a, b);
  EXPECT_EQ(a.size(), 3u);
  a.Insert({"b", "1"});
  EXPECT_EQ(a, b);
  a.Insert({"a", "1x"});
  EXPECT_EQ(a, (Selectors{{"a", "1"}, {"a", "1x"}, {"a", "2"}, {"b", "1"}}));
}

TEST(SelectorsTest, KnowsSubsets) {
  Selectors all{{"a", "1"}, {"a", "2"}, {"b", "1"}};
  EXPECT_TRUE(all.ContainsAll({{"b", "1"}, {"a", "1"}}));
  EXPECT_TRUE(all.ContainsAll({}));
  EXPECT_FALSE(all.ContainsAll({{"b", "1"}, {"a", "3"}}));
  EXPECT_TRUE(all.Contains({"a", "2"}));
  EXPECT_FALSE(Selectors{}.ContainsAll({{"a", "1"}}));
}

}  // namespace
}  // namespace writ
