// SPDX-License-Identifier: Apache-2.0
#include "attestors/node/provers.h"

#include <gtest/gtest.h>

namespace writ {
namespace {

TEST(NodeProversTest, MakesEveryMethodOfTheTableAndNoOther) {
  SystemRandom random;
  NodeProverOptions options;
  options.join_token = Secret("t-1");
  auto made = MakeNodeProver("join_token", options, &random);
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(*(*(*made)->Begin())->First(), "t-1");
  EXPECT_EQ(MakeNodeProver("tpm", options, &random).code(), Code::kInvalidArgument);
  EXPECT_EQ(NodeProverTypes(), (std::vector<std::string>{"join_token", "x509pop"}));
}

TEST(NodeProversTest, OptionsAreCheckedAtOnce) {
  SystemRandom random;
  Status status = MakeNodeProver("x509pop", {}, &random).status();
  EXPECT_EQ(status, InvalidArgument("x509pop: certificate_path is required"));
}

}  // namespace
}  // namespace writ
