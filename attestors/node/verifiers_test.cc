// SPDX-License-Identifier: Apache-2.0
#include "attestors/node/verifiers.h"

#include <gtest/gtest.h>

#include <vector>

#include "test/fake/fake_clock.h"

namespace writ {
namespace {

Result<NodeVerifiers> Make(std::vector<std::string> types) {
  static FakeClock clock;
  return NodeVerifiers::Make(
      types, {[](std::string_view) -> Result<JoinTokenInfo> { return NotFound("none"); }, &clock});
}

TEST(NodeVerifiersTest, FindsWhatIsConfiguredAndNothingElse) {
  Result<NodeVerifiers> verifiers = Make({"join_token"});
  ASSERT_TRUE(verifiers.ok());
  EXPECT_NE(verifiers->Find("join_token"), nullptr);
  EXPECT_EQ(verifiers->Find("x509pop"), nullptr);
  EXPECT_EQ(Make({})->Find("join_token"), nullptr);
}

TEST(NodeVerifiersTest, UnknownMethodNamesTheKnownOnes) {
  Status status = Make({"join_tokn"}).status();
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  EXPECT_NE(status.message().find("join_token"), std::string::npos);
}

}  // namespace
}  // namespace writ
