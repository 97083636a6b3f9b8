// SPDX-License-Identifier: Apache-2.0
#include "core/net/pending_bytes.h"

#include <gtest/gtest.h>

namespace writ {
namespace {

TEST(PendingBytesTest, GivesWhatIsLeftAndWipesWhatWasTaken) {
  const std::string key(1000, 'k');
  PendingBytes pending;
  pending.Append(key);
  const char* const held = pending.view().data();
  pending.Take(900);
  EXPECT_EQ(pending.view(), key.substr(900));
  EXPECT_EQ(std::string(held, 900), std::string(900, '\0'));
  pending.Take(100);
  EXPECT_TRUE(pending.empty());
  pending.Append("more");
  EXPECT_EQ(pending.view(), "more");
}

}  // namespace
}  // namespace writ
