// SPDX-License-Identifier: Apache-2.0
#include "attestors/unix/id_selectors.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "test/fake/fake_clock.h"

namespace writ {
namespace {

constexpr uid_t kNamelessUid = 3'000'000'001;
constexpr gid_t kNamelessGid = 3'000'000'002;

std::vector<std::string> Texts(const std::vector<Selector>& selectors) {
  std::vector<std::string> texts;
  for (const Selector& selector : selectors) texts.push_back(selector.text());
  return texts;
}

class IdSelectorsTest : public testing::Test {
 protected:
  FakeClock clock_;
  IdSelectors selectors_{&clock_};
  const ProcessIds root_{.uid = 0, .gid = 0, .groups = {0}};
};

TEST_F(IdSelectorsTest, NamesWhatHasAName) {
  auto found = selectors_.Find({.uid = 0, .gid = kNamelessGid, .groups = {0, kNamelessGid}});
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  EXPECT_EQ(Texts(*found),
            (std::vector<std::string>{"unix:uid:0", "unix:user:root", "unix:gid:3000000002",
                                      "unix:supplementary_gid:0", "unix:supplementary_group:root",
                                      "unix:supplementary_gid:3000000002"}));
}

TEST_F(IdSelectorsTest, KeepsNothingBeforeItWasFound) {
  EXPECT_FALSE(selectors_.Kept(root_).has_value());
}

TEST_F(IdSelectorsTest, KeepsWhatWasFoundForAWhile) {
  auto found = selectors_.Find(root_);
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  clock_.Advance(kNamesKept - std::chrono::milliseconds(1));
  EXPECT_EQ(selectors_.Kept(root_), *found);
  clock_.Advance(std::chrono::milliseconds(1));
  EXPECT_FALSE(selectors_.Kept(root_).has_value());
}

TEST_F(IdSelectorsTest, KeepsEachSetOfIdsApart) {
  ASSERT_TRUE(selectors_.Find(root_).ok());
  EXPECT_FALSE(selectors_.Kept({.uid = 0, .gid = 0, .groups = {}}).has_value());
  EXPECT_FALSE(selectors_.Kept({.uid = kNamelessUid, .gid = 0, .groups = {0}}).has_value());
}

TEST_F(IdSelectorsTest, StaysBounded) {
  ASSERT_TRUE(selectors_.Find(root_).ok());
  for (size_t n = 0; n < kIdSelectorsMax; ++n) {
    const auto uid = static_cast<uid_t>(kNamelessUid + n);
    ASSERT_TRUE(selectors_.Find({.uid = uid, .gid = kNamelessGid, .groups = {}}).ok());
  }
  EXPECT_FALSE(selectors_.Kept(root_).has_value());
}

ProcessIds InManyGroups(uid_t uid) {
  ProcessIds ids{.uid = uid, .gid = kNamelessGid, .groups = {}};
  while (ids.groups.size() < kSupplementaryGroupsMax) {
    ids.groups.push_back(static_cast<gid_t>(kNamelessGid + ids.groups.size()));
  }
  return ids;
}

TEST_F(IdSelectorsTest, StaysBoundedInBytes) {
  size_t most = 0;
  for (uid_t n = 0; n < 12; ++n) {
    ASSERT_TRUE(selectors_.Find(InManyGroups(kNamelessUid + n)).ok());
    most = std::max(most, selectors_.KeptBytes());
  }
  EXPECT_GT(most, kIdSelectorsBytesMax / 2);
  EXPECT_LE(most, kIdSelectorsBytesMax);
}

TEST_F(IdSelectorsTest, DropsWhatHasExpired) {
  ASSERT_TRUE(selectors_.Find(InManyGroups(kNamelessUid)).ok());
  ASSERT_TRUE(selectors_.Find(root_).ok());
  const size_t both = selectors_.KeptBytes();
  clock_.Advance(kNamesKept);
  ASSERT_TRUE(selectors_.Find(root_).ok());
  EXPECT_LT(selectors_.KeptBytes(), both / 10);
}

}  // namespace
}  // namespace writ
