// SPDX-License-Identifier: Apache-2.0
//
// The part of the stores' conformance suite that is about agents and join tokens.
#pragma once

#include "server/store/store_fixture.h"

namespace writ {

TEST_P(StoreConformance, AgentComesBackWhole) {
  Agent agent = TestAgent("/spire/agent/x509pop/1");
  agent.attestation_type = "x509pop";
  agent.pending_serial = "2";
  agent.pending_not_after = 1'800'000'001;
  agent.may_reattest = true;
  agent.agent_version = "1.2.3";
  agent.selectors = {{"x509pop", "a"}, {"x509pop", "b"}};
  ASSERT_TRUE(store_->agents().CommitAttestation(agent, "", clock_.Now()).ok());
  agent.ordinal = 1;
  EXPECT_EQ(*store_->agents().Get(agent.id.text()), agent);
  std::vector<Agent> all;
  uint64_t sequence = 0;
  EXPECT_TRUE(store_->agents().ForEach(&sequence, [&](Agent a) { all.push_back(a); }).ok());
  EXPECT_EQ(all, std::vector{agent});
  EXPECT_EQ(sequence, 1u);
}

TEST_P(StoreConformance, ReattestationReplacesTheAgentAndKeepsItsVersion) {
  Agent agent = TestAgent("/spire/agent/x509pop/1");
  agent.agent_version = "1.2.3";
  ASSERT_TRUE(store_->agents().CommitAttestation(agent, "", clock_.Now()).ok());
  agent.serial = "7";
  agent.selectors = {{"node", "b"}};
  agent.agent_version = "";
  ASSERT_TRUE(store_->agents().CommitAttestation(agent, "", clock_.Now()).ok());
  agent.agent_version = "1.2.3";
  agent.ordinal = 1;
  EXPECT_EQ(*store_->agents().Get(agent.id.text()), agent);
}

TEST_P(StoreConformance, JoinTokenIsUsedOnce) {
  AgentStore& agents = store_->agents();
  ASSERT_TRUE(agents.CreateToken({"secret", Now() + 60}, {}).ok());
  EXPECT_EQ(agents.CreateToken({"secret", Now() + 90}, {}).code(), Code::kAlreadyExists);
  EXPECT_EQ(agents.GetToken("secret")->expires_at, Now() + 60);
  Agent agent = TestAgent("/spire/agent/join_token/secret");
  EXPECT_TRUE(agents.CommitAttestation(agent, "secret", clock_.Now()).ok());
  Status again = agents.CommitAttestation(agent, "secret", clock_.Now());
  EXPECT_EQ(again.code(), Code::kInvalidArgument);
  EXPECT_EQ(again.message().find("secret"), std::string::npos);
  EXPECT_EQ(agents.GetToken("secret").code(), Code::kNotFound);
}

TEST_P(StoreConformance, ExpiredJoinTokenIsRefused) {
  AgentStore& agents = store_->agents();
  ASSERT_TRUE(agents.CreateToken({"secret", Now() + 60}, {}).ok());
  clock_.Advance(std::chrono::seconds(60));
  Agent agent = TestAgent("/spire/agent/join_token/secret");
  EXPECT_EQ(agents.CommitAttestation(agent, "secret", clock_.Now()).code(), Code::kInvalidArgument);
  EXPECT_EQ(agents.Get(agent.id.text()).code(), Code::kNotFound);
  EXPECT_TRUE(agents.GetToken("secret").ok());  // until it is pruned
}

TEST_P(StoreConformance, JoinTokenIsUsedOnceUnderConcurrency) {
  constexpr int kThreads = 8;
  AgentStore& agents = store_->agents();
  ASSERT_TRUE(agents.CreateToken({"secret", Now() + 60}, {}).ok());
  std::vector<Status> answers(kThreads);
  {
    std::vector<Thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back("attest", [&, i](std::stop_token) {
        Agent agent = TestAgent("/spire/agent/join_token/secret");
        agent.serial = std::to_string(i);
        answers[static_cast<size_t>(i)] = agents.CommitAttestation(agent, "secret", clock_.Now());
      });
    }
  }
  int winners = 0;
  for (int i = 0; i < kThreads; ++i) {
    if (!answers[static_cast<size_t>(i)].ok()) continue;
    ++winners;
    EXPECT_EQ(agents.Get(TestId("/spire/agent/join_token/secret").text())->serial,
              std::to_string(i));
  }
  EXPECT_EQ(winners, 1);
}

TEST_P(StoreConformance, BannedAgentCannotAttestAndKeepsItsToken) {
  AgentStore& agents = store_->agents();
  Agent agent = TestAgent("/spire/agent/join_token/secret");
  ASSERT_TRUE(agents.CommitAttestation(agent, "", clock_.Now()).ok());
  ASSERT_TRUE(agents
                  .Edit(agent.id.text(),
                        [](Agent& a) {
                          a.banned = true;
                          a.serial = "";
                          return OkStatus();
                        })
                  .ok());
  ASSERT_TRUE(agents.CreateToken({"secret", Now() + 60}, {}).ok());
  EXPECT_EQ(agents.CommitAttestation(agent, "secret", clock_.Now()).code(),
            Code::kPermissionDenied);
  EXPECT_TRUE(agents.GetToken("secret").ok());
  EXPECT_TRUE(agents.Get(agent.id.text())->banned);
}

TEST_P(StoreConformance, AgentEditIsAllOrNothing) {
  AgentStore& agents = store_->agents();
  Agent agent = TestAgent("/spire/agent/join_token/a");
  ASSERT_TRUE(agents.CommitAttestation(agent, "", clock_.Now()).ok());
  const uint64_t before = *store_->changes().LastSequence();
  auto refused = agents.Edit(agent.id.text(), [](Agent& a) {
    a.serial = "9";
    return FailedPrecondition("no");
  });
  EXPECT_EQ(refused.status(), FailedPrecondition("no"));
  EXPECT_TRUE(agents.Edit(agent.id.text(), [](Agent&) { return OkStatus(); }).ok());
  EXPECT_EQ(*store_->changes().LastSequence(), before);
  agent.ordinal = 1;
  EXPECT_EQ(*agents.Get(agent.id.text()), agent);
  auto edited = agents.Edit(agent.id.text(), [](Agent& a) {
    a.pending_serial = "9";
    a.pending_not_after = 5;
    return OkStatus();
  });
  EXPECT_EQ(edited->pending_serial, "9");
  EXPECT_EQ(*agents.Get(agent.id.text()), *edited);
  EXPECT_EQ(agents.Edit("spiffe://example.org/gone", [](Agent&) { return OkStatus(); }).code(),
            Code::kNotFound);
}

TEST_P(StoreConformance, DeletingAnAgentTakesItsTokensAliasAndNothingElse) {
  AgentStore& agents = store_->agents();
  ASSERT_TRUE(agents.CreateToken({"t1", Now() + 60}, AliasOf("t1", "alias-1")).ok());
  Agent agent = TestAgent("/spire/agent/join_token/t1");
  ASSERT_TRUE(agents.CommitAttestation(agent, "t1", clock_.Now()).ok());
  EntryOutcome own = Create(TestEntry("/web", "/spire/agent/join_token/t1", {{"unix", "uid:1"}}));
  Entry alias = AliasOf("t1", "alias-1");
  alias.ordinal = 1;
  EXPECT_EQ(*store_->entries().Get("alias-1"), alias);
  const uint64_t before = *store_->changes().LastSequence();
  ASSERT_TRUE(agents.Delete(agent.id.text()).ok());
  EXPECT_EQ(store_->entries().Get("alias-1").code(), Code::kNotFound);
  EXPECT_TRUE(store_->entries().Get(own.entry->id).ok());
  EXPECT_EQ(agents.Get(agent.id.text()).code(), Code::kNotFound);
  EXPECT_EQ(agents.Delete(agent.id.text()).code(), Code::kNotFound);
  EXPECT_EQ(ChangesAfter(before), (ChangeNames{{ChangeKind::kEntryDeleted, "alias-1"},
                                               {ChangeKind::kAgentDeleted, agent.id.text()}}));
}

TEST_P(StoreConformance, DeletingAnAgentOfAnotherKindKeepsEntriesThatLookLikeAliases) {
  Agent agent = TestAgent("/spire/agent/join_token/t1");
  agent.attestation_type = "x509pop";
  ASSERT_TRUE(store_->agents().CommitAttestation(agent, "", clock_.Now()).ok());
  Entry alias = AliasOf("t1", "alias-1");
  ASSERT_TRUE(Create(alias).status.ok());
  ASSERT_TRUE(store_->agents().Delete(agent.id.text()).ok());
  EXPECT_TRUE(store_->entries().Get("alias-1").ok());
}

TEST_P(StoreConformance, PruningTakesExpiredTokensWithTheirAliases) {
  AgentStore& agents = store_->agents();
  ASSERT_TRUE(agents.CreateToken({"old", Now() + 60}, AliasOf("old", "alias-old")).ok());
  ASSERT_TRUE(agents.CreateToken({"plain", Now() + 60}, {}).ok());
  ASSERT_TRUE(agents.CreateToken({"young", Now() + 3600}, AliasOf("young", "alias-young")).ok());
  clock_.Advance(std::chrono::seconds(60));
  EXPECT_EQ(PruneTokens(), 0u);
  clock_.Advance(std::chrono::seconds(1));
  EXPECT_EQ(PruneTokens(), 2u);
  EXPECT_EQ(PruneTokens(), 0u);
  EXPECT_EQ(agents.GetToken("old").code(), Code::kNotFound);
  EXPECT_TRUE(agents.GetToken("young").ok());
  ASSERT_EQ(AllEntries().size(), 1u);
  EXPECT_EQ(AllEntries()[0].id, "alias-young");
}

TEST_P(StoreConformance, PruningKeepsTheAliasOfALivingAgent) {
  AgentStore& agents = store_->agents();
  ASSERT_TRUE(agents.CreateToken({"t", Now() + 60}, AliasOf("t", "first")).ok());
  Agent agent = TestAgent("/spire/agent/join_token/t");
  ASSERT_TRUE(agents.CommitAttestation(agent, "t", clock_.Now()).ok());
  // The same value again: the alias that is there stands in for the new one.
  ASSERT_TRUE(agents.CreateToken({"t", Now() + 60}, AliasOf("t", "second")).ok());
  EXPECT_EQ(store_->entries().Get("second").code(), Code::kNotFound);
  clock_.Advance(std::chrono::hours(1));
  EXPECT_EQ(PruneTokens(), 1u);
  EXPECT_TRUE(store_->entries().Get("first").ok());
}

TEST_P(StoreConformance, PruningTakesNoMoreThanItsLimitAndTheOldestFirst) {
  AgentStore& agents = store_->agents();
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(agents.CreateToken({"t" + std::to_string(i), Now() + 60 - i}, {}).ok());
    Agent agent = TestAgent("/spire/agent/x509pop/" + std::to_string(i));
    agent.not_after = Now() + 60 - i;
    agent.may_reattest = true;
    ASSERT_TRUE(agents.CommitAttestation(agent, "", clock_.Now()).ok());
  }
  clock_.Advance(std::chrono::hours(1));
  PruneRule rule{.tokens_before = clock_.Now(), .agents_before = clock_.Now(), .limit = 2};
  Pruned pruned = *agents.Prune(rule);
  EXPECT_EQ(pruned.tokens, 2u);
  EXPECT_EQ(pruned.agents,
            (std::vector<std::string>{"spiffe://example.org/spire/agent/x509pop/4",
                                      "spiffe://example.org/spire/agent/x509pop/3"}));
  EXPECT_EQ(agents.Prune(rule)->agents.size(), 2u);
  EXPECT_EQ(agents.Prune(rule)->agents.size(), 1u);
  EXPECT_EQ(agents.Prune(rule)->agents.size(), 0u);
}

TEST_P(StoreConformance, PruningAgentsKeepsTheBannedTheLivingAndWhatTheRuleSpares) {
  AgentStore& agents = store_->agents();
  auto add = [&](const std::string& name, bool may_reattest,
                 const std::function<void(Agent&)>& change) {
    Agent agent = TestAgent("/spire/agent/" + name);
    agent.attestation_type = name.substr(0, name.find('/'));
    agent.not_after = Now() + 60;
    agent.may_reattest = may_reattest;
    ASSERT_TRUE(agents.CommitAttestation(agent, "", clock_.Now()).ok());
    ASSERT_TRUE(agents
                    .Edit(agent.id.text(),
                          [&](Agent& stored) {
                            change(stored);
                            return OkStatus();
                          })
                    .ok());
  };
  auto nothing = [](Agent&) {};
  add("x509pop/gone", true, nothing);
  add("x509pop/banned", true, [](Agent& agent) { agent.banned = true; });
  add("x509pop/living", true, [this](Agent& agent) { agent.not_after = Now() + 3600; });
  add("x509pop/renewed", true, [this](Agent& agent) { agent.pending_not_after = Now() + 3600; });
  add("join_token/t", false, nothing);
  Entry alias = AliasOf("t", "alias");
  ASSERT_TRUE(Create(alias).status.ok());
  clock_.Advance(std::chrono::seconds(100));
  PruneRule rule{.tokens_before = clock_.Now(), .limit = 100};
  EXPECT_TRUE(agents.Prune(rule)->agents.empty());
  rule.agents_before = clock_.Now();
  EXPECT_EQ(agents.Prune(rule)->agents,
            std::vector<std::string>{"spiffe://example.org/spire/agent/x509pop/gone"});
  EXPECT_TRUE(store_->entries().Get("alias").ok());
  rule.non_reattestable = true;
  EXPECT_EQ(agents.Prune(rule)->agents,
            std::vector<std::string>{"spiffe://example.org/spire/agent/join_token/t"});
  EXPECT_EQ(store_->entries().Get("alias").code(), Code::kNotFound);
  EXPECT_TRUE(agents.Get("spiffe://example.org/spire/agent/x509pop/banned").ok());
  EXPECT_TRUE(agents.Get("spiffe://example.org/spire/agent/x509pop/renewed").ok());
}

TEST_P(StoreConformance, TokenWhoseAliasWasDeletedIsPrunedAlone) {
  AgentStore& agents = store_->agents();
  ASSERT_TRUE(agents.CreateToken({"t", Now() + 60}, AliasOf("t", "alias")).ok());
  EXPECT_TRUE(Delete("alias").status.ok());
  clock_.Advance(std::chrono::hours(1));
  EXPECT_EQ(PruneTokens(), 1u);
}

TEST_P(StoreConformance, TokenWhoseAliasCannotBeMadeIsNotMadeEither) {
  Entry taken = TestEntry("/web", "/node", {{"a", "1"}});
  taken.id = "alias";
  Create(taken);
  Status refused = store_->agents().CreateToken({"t", Now() + 60}, AliasOf("t", "alias"));
  EXPECT_EQ(refused.code(), Code::kAlreadyExists);
  EXPECT_EQ(store_->agents().GetToken("t").code(), Code::kNotFound);
}

}  // namespace writ
