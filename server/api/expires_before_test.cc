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

TEST(ExpiresBeforeTest, RefusesEverythingElse) {
  for (const char* text : {"", "tomorrow", "2026-01-31", "2026-02-30 12:00:00 +0000 +00",
                           "2026-13-01 12:00:00 +0000 +00", "2026-01-31 24:00:00 +0000 +00",
                           "2026-01-31 12:60:00 +0000 +00", "2026-01-31 12:00:00 +0000 +00 ",
                           "2026-01-31T12:00:00 +0000 +00", "2026-01-31 12:00:00 x0000 +00"}) {
    EXPECT_EQ(ParseExpiresBefore(text).code(), Code::kInvalidArgument) << text;
  }
}

}  // namespace
}  // namespace writ
