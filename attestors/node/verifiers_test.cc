// SPDX-License-Identifier: Apache-2.0
#include "attestors/node/verifiers.h"

#include <gtest/gtest.h>

#include <vector>

namespace writ {
namespace {

Result<NodeVerifiers> Make(std::vector<std::string> types, X509PopVerifierOptions x509pop = {}) {
  return NodeVerifiers::Make(types, {.x509pop = std::move(x509pop)},
                             {.trust_domain = *TrustDomain::Parse("example.org")});
}

TEST(NodeVerifiersTest, FindsWhatIsConfiguredAndNothingElse) {
  Result<NodeVerifiers> verifiers = Make({"join_token"});
  ASSERT_TRUE(verifiers.ok());
  EXPECT_NE(verifiers->Find("join_token"), nullptr);
  EXPECT_EQ(verifiers->Find("x509pop"), nullptr);
  EXPECT_EQ(Make({})->Find("join_token"), nullptr);
}

TEST(NodeVerifiersTest, OptionsOfAConfiguredMethodAreChecked) {
  EXPECT_TRUE(Make({"x509pop"}, {.mode = X509PopMode::kSpiffe}).ok());
  Status status = Make({"join_token", "x509pop"}).status();
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  EXPECT_TRUE(status.message().starts_with("x509pop: ")) << status.ToString();
  EXPECT_EQ(NodeVerifiers::Types(), (std::vector<std::string>{"join_token", "x509pop"}));
}

TEST(NodeVerifiersTest, UnknownMethodNamesTheKnownOnes) {
  Status status = Make({"join_tokn"}).status();
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  EXPECT_NE(status.message().find("join_token"), std::string::npos);
}

}  // namespace
}  // namespace writ
