// SPDX-License-Identifier: Apache-2.0
#include "attestors/join_token/join_token.h"

#include <gtest/gtest.h>

#include "test/fake/fake_clock.h"

namespace writ {
namespace {

class JoinTokenTest : public ::testing::Test {
 protected:
  Result<NodeStep> Attest(std::string_view payload) {
    auto factory = MakeJoinTokenVerifier(
        [this](std::string_view token) -> Result<JoinTokenInfo> {
          if (token != "t-1") return NotFound("no such token");
          return JoinTokenInfo{expires_at_};
        },
        &clock_);
    return factory->Begin("")->Next(payload);
  }

  FakeClock clock_;
  Time expires_at_ = clock_.Now() + std::chrono::minutes(10);
};

TEST_F(JoinTokenTest, ProverAndVerifierAgreeInOneMessage) {
  auto prover = MakeJoinTokenProver(Secret(std::string("t-1")))->Begin();
  ASSERT_TRUE(prover.ok());
  Result<NodeStep> step = Attest(*(*prover)->First());
  ASSERT_TRUE(step.ok()) << step.status().ToString();
  ASSERT_NE(step->verdict, nullptr);
  EXPECT_EQ(step->verdict->agent_path, "join_token/t-1");
  EXPECT_EQ(step->verdict->join_token, "t-1");
  EXPECT_FALSE(step->verdict->may_reattest);
  EXPECT_TRUE(step->verdict->selectors.empty());
}

TEST_F(JoinTokenTest, UnknownTokenIsInvalidArgumentAndIsNotRepeatedInTheMessage) {
  Status status = Attest("some-other-secret").status();
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  EXPECT_EQ(status.message().find("some-other-secret"), std::string::npos);
}

TEST_F(JoinTokenTest, ExpiredTokenIsInvalidArgument) {
  clock_.Advance(std::chrono::minutes(10) + std::chrono::nanoseconds(1));
  EXPECT_EQ(Attest("t-1").status(), InvalidArgument("join token expired"));
}

TEST_F(JoinTokenTest, TokenThatCannotBeAPathSegmentIsRefusedBeforeTheLookup) {
  for (std::string token : {"", ".", "..", "a/b", "a b", "a%2f", "\xff", "a\n"}) {
    EXPECT_EQ(Attest(token).code(), Code::kInvalidArgument) << token;
  }
  EXPECT_EQ(Attest(std::string(kJoinTokenBytesMax + 1, 'a')).code(), Code::kInvalidArgument);
}

TEST_F(JoinTokenTest, SecondMessageIsRefused) {
  auto factory = MakeJoinTokenVerifier(
      [this](std::string_view) -> Result<JoinTokenInfo> { return JoinTokenInfo{expires_at_}; },
      &clock_);
  auto session = factory->Begin("");
  ASSERT_TRUE(session->Next("t-1").ok());
  EXPECT_EQ(session->Next("t-1").code(), Code::kInvalidArgument);
}

TEST_F(JoinTokenTest, ProverWithoutTokenSaysHowToGetOne) {
  Status status = MakeJoinTokenProver(Secret())->Begin().status();
  EXPECT_EQ(status.code(), Code::kFailedPrecondition);
  EXPECT_NE(status.message().find("writ token create"), std::string::npos);
}

}  // namespace
}  // namespace writ
