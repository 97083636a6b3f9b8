// SPDX-License-Identifier: Apache-2.0
#include "attestors/unix/proc_status.h"

#include <gtest/gtest.h>

#include <string>

namespace writ {
namespace {

constexpr char kStatus[] =
    "Name:\tUid:\\n0\n"
    "Umask:\t0022\n"
    "Uid:\t1000\t1001\t1002\t1003\n"
    "Gid:\t2000\t2001\t2002\t2003\n"
    "FDSize:\t64\n"
    "Groups:\t4 27 4294967294 \n"
    "NStgid:\t1\n";

TEST(ProcStatusTest, TakesTheEffectiveIds) {
  const auto ids = ParseProcStatus(kStatus);
  ASSERT_TRUE(ids.ok()) << ids.status().ToString();
  EXPECT_EQ(ids->uid, 1001u);
  EXPECT_EQ(ids->gid, 2001u);
  EXPECT_EQ(ids->groups, (std::vector<gid_t>{4, 27, 4294967294}));
}

TEST(ProcStatusTest, NoSupplementaryGroupsIsAnEmptyList) {
  const auto ids = ParseProcStatus("Uid:\t1\t1\t1\t1\nGid:\t2\t2\t2\t2\nGroups:\t \n");
  ASSERT_TRUE(ids.ok());
  EXPECT_TRUE(ids->groups.empty());
}

TEST(ProcStatusTest, RefusesMoreGroupsThanAreLookedUp) {
  std::string text = "Uid:\t1\t1\t1\t1\nGid:\t2\t2\t2\t2\nGroups:\t";
  for (size_t gid = 0; gid < kSupplementaryGroupsMax; ++gid) text += std::to_string(gid) + " ";
  const auto all = ParseProcStatus(text);
  ASSERT_TRUE(all.ok()) << all.status().ToString();
  EXPECT_EQ(all->groups.size(), kSupplementaryGroupsMax);
  const auto more = ParseProcStatus(text + "7");
  EXPECT_EQ(more.code(), Code::kResourceExhausted);
  EXPECT_EQ(more.status().message(),
            "the process is in 1025 supplementary groups, at most 1024 are looked up");
}

TEST(ProcStatusTest, MissingOrMalformedLinesAreErrors) {
  EXPECT_FALSE(ParseProcStatus("").ok());
  EXPECT_FALSE(ParseProcStatus("Uid:\t1\t1\t1\t1\nGid:\t2\t2\t2\t2\n").ok());
  EXPECT_FALSE(ParseProcStatus("Uid:\t1\nGid:\t2\t2\t2\t2\nGroups:\n").ok());
  EXPECT_FALSE(ParseProcStatus("Uid:\ta\tb\tc\td\nGid:\t2\t2\t2\t2\nGroups:\n").ok());
  EXPECT_FALSE(ParseProcStatus("Uid:\t99999999999\t1\t1\t1\nGid:\t2\t2\t2\t2\nGroups:\n").ok());
}

}  // namespace
}  // namespace writ
