// SPDX-License-Identifier: Apache-2.0
#include "cli/output.h"

#include <gtest/gtest.h>

#include <sstream>

namespace writ {
namespace {

TEST(OutputTest, TablesAlignAndEscapeWhatOthersWrote) {
  std::ostringstream out;
  PrintTable(out, {"ID", "HINT"}, {{"long-id", "a\x1b[31m"}, {"x", ""}});
  EXPECT_EQ(out.str(),
            "ID       HINT\n"
            "long-id  a\\x1b[31m\n"
            "x        \n");
}

TEST(OutputTest, FieldsLeaveEmptyValuesOut) {
  std::ostringstream out;
  PrintFields(out, {{"Entry ID", "e1"}, {"Hint", ""}, {"TTL", "1h"}});
  EXPECT_EQ(out.str(), "Entry ID: e1\nTTL:      1h\n");
}

TEST(OutputTest, TimesSayHowFarTheyAre) {
  Time now = FromUnixSeconds(1'790'000'000);
  EXPECT_EQ(TimeText(0, now), "never");
  EXPECT_EQ(TimeText(1'790'000'060, now), "2026-09-21T14:14:20Z (in 60s)");
  EXPECT_EQ(TimeText(1'790'000'000 - 7200, now), "2026-09-21T12:13:20Z (2h ago)");
}

}  // namespace
}  // namespace writ
