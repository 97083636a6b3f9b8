// SPDX-License-Identifier: Apache-2.0
#include "server/api/expires_before.h"

#include <gtest/gtest.h>

namespace writ {
namespace {

TEST(ExpiresBeforeTest, ReadsGosLayoutWithItsOffset) {
  EXPECT_EQ(*ParseExpiresBefore("1970-01-01 00:00:00 +0000 +00"), 0);
  EXPECT_EQ(*ParseExpiresBefore("2026-01-31 12:00:00 +0000 +00"), 1769860800);
  EXPECT_EQ(*ParseExpiresBefore("2026-01-31 14:30:00 +0230 +02"), 1769860800);
  EXPECT_EQ(*ParseExpiresBefore("2026-01-31 05:00:00 -0700 -07"), 1769860800);
}

TEST(ExpiresBeforeTest, ReadsWhatGoReadsByThatLayout) {
  constexpr int64_t kNoon = 1769860800;
  EXPECT_EQ(*ParseExpiresBefore("2026-01-31 12:00:00.000 +0000 +00"), kNoon);
  EXPECT_EQ(*ParseExpiresBefore("2026-01-31 12:00:00.0000000001 +0000 +00"), kNoon);
  EXPECT_EQ(*ParseExpiresBefore("2026-01-31 12:00:00.000000001 +0000 +00"), kNoon + 1);
  EXPECT_EQ(*ParseExpiresBefore("2026-01-31 12:00:00,5 +0000 +00"), kNoon + 1);
  EXPECT_EQ(*ParseExpiresBefore("2026-01-31 11:59:59.999999999 +0000 +00"), kNoon);
  EXPECT_EQ(*ParseExpiresBefore("2026-01-31 12:00:00.123456 +0000 +00"), kNoon + 1);
  EXPECT_EQ(*ParseExpiresBefore("2026-01-31 9:00:00 -0300 -03"), kNoon);
  EXPECT_EQ(*ParseExpiresBefore("2026-01-31  12:00:00  +0000   +00"), kNoon);
}

TEST(ExpiresBeforeTest, RefusesEverythingElse) {
  for (const char* text : {"",
                           "tomorrow",
                           "2026-01-31",
                           "2026-02-30 12:00:00 +0000 +00",
                           "2026-13-01 12:00:00 +0000 +00",
                           "2026-01-31 24:00:00 +0000 +00",
                           "2026-01-31 12:60:00 +0000 +00",
                           "2026-01-31 12:00:00 +0000 +00 ",
                           "2026-01-31T12:00:00 +0000 +00",
                           "2026-01-31 12:00:00 x0000 +00",
                           "2026-01-31 12:00:00. +0000 +00",
                           "2026-01-31 12:00:00.x +0000 +00",
                           "2026-01-31 12:00:00.5+0000 +00",
                           "2026-1-31 12:00:00 +0000 +00",
                           "2026-01-31 12:00:00 +2500 +25",
                           "2026-01-31 12:00:00 +0061 +00",
                           "2026-01-31 12:00:60 +0000 +00",
                           "2026-01-31 12:00:00 +0000",
                           "2026-01-31 12:00:00.5 +0000 +00 UTC",
                           "02026-01-31 12:00:00 +0000 +00"}) {
    EXPECT_EQ(ParseExpiresBefore(text).code(), Code::kInvalidArgument) << text;
  }
}

}  // namespace
}  // namespace writ
