// SPDX-License-Identifier: Apache-2.0
#include "server/attest/attestation.h"

#include <gtest/gtest.h>

#include <functional>
#include <utility>

#include "core/crypto/csr.h"
#include "core/keys/key_manager.h"
#include "server/attest/agent_gate.h"
#include "test/fake/fake_clock.h"
#include "test/fake/fake_store.h"

namespace writ {
namespace {

// Answers as a test says.
class ScriptedVerifier final : public NodeVerifier {
 public:
  using Script = std::function<Result<NodeStep>(std::string_view)>;
  explicit ScriptedVerifier(Script script) : script_(std::move(script)) {}
  Result<NodeStep> Next(std::string_view payload) override { return script_(payload); }

 private:
  const Script script_;
};

NodeStep Challenge(std::string challenge) {
  NodeStep step;
  step.challenge = std::move(challenge);
  return step;
}

NodeStep Verdict(std::string path) {
  NodeStep step;
  step.verdict = std::make_unique<NodeVerdict>();
  step.verdict->agent_path = std::move(path);
  step.verdict->selectors = {{"scripted", "a"}};
  step.verdict->may_reattest = true;
  return step;
}

class AttestationTest : public ::testing::Test {
 protected:
  void SetUp() override { registry_ = std::move(Registry::Load(store_, td_)).value(); }

  Attestation Begin(ScriptedVerifier::Script script) {
    return Attestation(td_, registry_.get(), "scripted", key_.Public(),
                       std::make_unique<ScriptedVerifier>(std::move(script)));
  }
  Attestor MakeAttestor(const NodeVerifiers* verifiers) {
    return Attestor(td_, verifiers, registry_.get(), &store_.agents(), &clock_);
  }

  const TrustDomain td_ = *TrustDomain::Parse("example.org");
  const PrivateKey key_ = *PrivateKey::Generate(KeyType::kEcP256);
  FakeClock clock_;
  SeededRandom random_{3};
  FakeStore store_;
  std::unique_ptr<Registry> registry_;
};

TEST_F(AttestationTest, ChallengesGoOnUntilTheVerdict) {
  std::vector<std::string> seen;
  Attestation attestation = Begin([&](std::string_view payload) -> Result<NodeStep> {
    seen.emplace_back(payload);
    if (seen.size() < 3) return Challenge("c" + std::to_string(seen.size()));
    return Verdict("scripted/node");
  });
  EXPECT_EQ(attestation.Next("payload")->challenge, "c1");
  EXPECT_EQ(attestation.Next("r1")->challenge, "c2");
  Result<AttestationStep> last = attestation.Next("r2");
  ASSERT_TRUE(last.ok());
  ASSERT_TRUE(last->node.has_value());
  EXPECT_EQ(last->node->id.text(), "spiffe://example.org/spire/agent/scripted/node");
  EXPECT_EQ(last->node->key, key_.Public());
  EXPECT_EQ(seen, (std::vector<std::string>{"payload", "r1", "r2"}));
}

TEST_F(AttestationTest, RoundsAndMessagesAreBounded) {
  Attestation endless = Begin([](std::string_view) -> Result<NodeStep> { return Challenge("c"); });
  for (int i = 0; i < kAttestationRoundsMax; ++i) ASSERT_TRUE(endless.Next("r").ok());
  EXPECT_EQ(endless.Next("r").code(), Code::kInvalidArgument);
  Attestation large = Begin([](std::string_view) -> Result<NodeStep> { return Verdict("s/n"); });
  EXPECT_EQ(large.Next(std::string(kAttestationPayloadBytesMax + 1, 'x')).code(),
            Code::kInvalidArgument);
}

TEST_F(AttestationTest, VerdictThatIsNoIdIsRefused) {
  for (std::string path : {"", "a//b", "../server", "a b"}) {
    Attestation attestation =
        Begin([&](std::string_view) -> Result<NodeStep> { return Verdict(path); });
    EXPECT_FALSE(attestation.Next("p").ok()) << path;
  }
}

TEST_F(AttestationTest, CommitStoresTheAgentAndASecondOneReplacesIt) {
  Attestor attestor = MakeAttestor(nullptr);
  Attestation attestation =
      Begin([](std::string_view) -> Result<NodeStep> { return Verdict("scripted/node"); });
  AttestedNode node = std::move(*attestation.Next("p")->node);
  Serial first = Serial::Generate(random_);
  Time not_after = clock_.Now() + std::chrono::hours(1);
  ASSERT_TRUE(attestor.CommitNode(node, first, not_after).ok());
  std::optional<Agent> agent = registry_->GetAgent(node.id.text());
  ASSERT_TRUE(agent.has_value());
  EXPECT_EQ(agent->serial, first.ToDecimal());
  EXPECT_EQ(agent->not_after, ToUnixSeconds(not_after));
  EXPECT_EQ(agent->attestation_type, "scripted");
  EXPECT_EQ(agent->selectors, (Selectors{{"scripted", "a"}}));
  EXPECT_TRUE(agent->may_reattest);

  Serial second = Serial::Generate(random_);
  ASSERT_TRUE(attestor.CommitNode(node, second, not_after).ok());
  EXPECT_EQ(registry_->GetAgent(node.id.text())->serial, second.ToDecimal());
}

// A template may let a node choose words of its path.
TEST_F(AttestationTest, AnAgentOfAnotherMethodIsNotTakenOver) {
  Attestor attestor = MakeAttestor(nullptr);
  Attestation first =
      Begin([](std::string_view) -> Result<NodeStep> { return Verdict("join_token/t"); });
  AttestedNode victim = std::move(*first.Next("p")->node);
  victim.type = "join_token";
  ASSERT_TRUE(attestor.CommitNode(victim, Serial::Generate(random_), clock_.Now()).ok());
  Attestation second =
      Begin([](std::string_view) -> Result<NodeStep> { return Verdict("join_token/t"); });
  Result<AttestationStep> step = second.Next("p");
  EXPECT_EQ(step.code(), Code::kPermissionDenied);
  EXPECT_NE(step.status().message().find("attested by join_token"), std::string::npos);
}

TEST_F(AttestationTest, BanBetweenVerdictAndCommitWins) {
  Attestor attestor = MakeAttestor(nullptr);
  Attestation attestation =
      Begin([](std::string_view) -> Result<NodeStep> { return Verdict("scripted/node"); });
  AttestedNode node = std::move(*attestation.Next("p")->node);
  ASSERT_TRUE(attestor.CommitNode(node, Serial::Generate(random_), clock_.Now()).ok());
  ASSERT_TRUE(store_.agents()
                  .Edit(node.id.text(),
                        [](Agent& agent) {
                          agent.banned = true;
                          agent.serial.clear();
                          return OkStatus();
                        })
                  .ok());
  Status status = attestor.CommitNode(node, Serial::Generate(random_), clock_.Now());
  EXPECT_EQ(status.code(), Code::kPermissionDenied);
  EXPECT_EQ(status.reason(), static_cast<int>(AgentDenial::kBanned));
  status = attestor.CommitRenewal(node.id, Serial::Generate(random_), clock_.Now());
  EXPECT_EQ(status.reason(), static_cast<int>(AgentDenial::kBanned));
}

TEST_F(AttestationTest, BeginLooksAtTheCsrBeforeAnythingElseIsSpent) {
  std::vector<std::string> methods = {"join_token"};
  int lookups = 0;
  Result<NodeVerifiers> verifiers =
      NodeVerifiers::Make(methods, {},
                          {.trust_domain = td_,
                           .find_join_token = [&](std::string_view) -> Result<JoinTokenInfo> {
                             ++lookups;
                             return NotFound("none");
                           },
                           .clock = &clock_,
                           .random = &random_});
  ASSERT_TRUE(verifiers.ok());
  Attestor attestor = MakeAttestor(&*verifiers);
  EXPECT_EQ(attestor.Begin("join_token", "no CSR", "").status().code(), Code::kInvalidArgument);
  EXPECT_EQ(attestor.Begin("no_such", "no CSR", "").status().code(), Code::kFailedPrecondition);
  EXPECT_EQ(lookups, 0);
  std::shared_ptr<Signer> signer = MakeSoftwareSigner(key_);
  auto begun = attestor.Begin("join_token", *MakeCsr({}, *signer), "");
  ASSERT_TRUE(begun.ok()) << begun.status().ToString();
  EXPECT_EQ((*begun)->Next("t").code(), Code::kInvalidArgument);
  EXPECT_EQ(lookups, 1);
}

TEST_F(AttestationTest, RenewalOfAnUnknownAgentIsNotFound) {
  Attestor attestor = MakeAttestor(nullptr);
  SpiffeId id = *SpiffeId::FromPath(td_, "/spire/agent/join_token/x");
  EXPECT_EQ(attestor.CheckRenewal(id), NotFound("agent not found"));
  EXPECT_EQ(attestor.CommitRenewal(id, Serial::Generate(random_), clock_.Now()),
            NotFound("agent not found"));
}

}  // namespace
}  // namespace writ
