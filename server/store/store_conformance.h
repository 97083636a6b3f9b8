// SPDX-License-Identifier: Apache-2.0
//
// What every kind of Store must do: one suite, run on each kind by INSTANTIATE_TEST_SUITE_P.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/base/random.h"
#include "core/base/thread.h"
#include "core/crypto/key.h"
#include "core/crypto/signer.h"
#include "core/crypto/x509.h"
#include "server/store/store.h"
#include "test/fake/fake_clock.h"
#include "test/support/paths.h"

namespace writ {

struct StoreKind {
  std::string name;
  std::function<std::unique_ptr<Store>(const std::string& directory)> open;
};

inline SpiffeId TestId(std::string_view path) {
  return *SpiffeId::Parse("spiffe://example.org" + std::string(path));
}

inline Entry TestEntry(std::string_view path, std::string_view parent, Selectors selectors) {
  return Entry{.spiffe_id = TestId(path),
               .parent_id = TestId(parent),
               .selectors = std::move(selectors)};
}

inline Agent TestAgent(std::string_view path) {
  return Agent{.id = TestId(path),
               .attestation_type = "join_token",
               .serial = "1",
               .not_after = 1'800'000'000,
               .selectors = {{"node", "a"}},
               .attested_at = 1'790'000'000};
}

class TestSigner final : public Signer {
 public:
  const PublicKey& Public() const override { return key_.Public(); }
  Result<std::string> Sign(SignatureScheme scheme, std::string_view message) override {
    return key_.Sign(scheme, message);
  }

 private:
  const PrivateKey key_ = *PrivateKey::Generate(KeyType::kEcP256);
};

// A self-signed CA certificate.
inline Certificate TestAuthority() {
  TestSigner signer;
  SystemRandom random;
  CertificateTemplate made{.serial = Serial::Generate(random),
                           .subject = {.common_name = "root"},
                           .not_before = FromUnixSeconds(1'700'000'000),
                           .not_after = FromUnixSeconds(1'900'000'000),
                           .uri_sans = {"spiffe://example.org"},
                           .is_ca = true};
  return *Certificate::FromDer(*SignSelfSigned(made, signer));
}

class StoreConformance : public testing::TestWithParam<StoreKind> {
 protected:
  void SetUp() override {
    store_ = GetParam().open(directory_.path());
    store_->changes().SetListener([this](const std::vector<Change>& changes) {
      heard_.insert(heard_.end(), changes.begin(), changes.end());
    });
  }

  EntryOutcome Create(Entry entry) {
    auto outcomes = store_->entries().Create({std::move(entry)}, clock_.Now(), [this] {
      return "entry-" + std::to_string(++ids_made_);
    });
    return std::move(outcomes.value().at(0));
  }
  EntryOutcome Edit(const std::string& id, EntryEdit edit) {
    return std::move(store_->entries().Edit({{id, std::move(edit)}}).value().at(0));
  }
  EntryOutcome Delete(const std::string& id) {
    return std::move(store_->entries().Delete(std::vector{id}).value().at(0));
  }
  std::vector<Entry> AllEntries() {
    std::vector<Entry> all;
    uint64_t sequence = 0;
    EXPECT_TRUE(store_->entries().ForEach(&sequence, [&](Entry e) { all.push_back(e); }).ok());
    EXPECT_EQ(sequence, *store_->changes().LastSequence());
    return all;
  }
  // The kinds and IDs of the changes after `after`.
  std::vector<std::pair<ChangeKind, std::string>> ChangesAfter(uint64_t after) {
    std::vector<std::pair<ChangeKind, std::string>> changes;
    const std::vector<Change> read = store_->changes().Since(after, 1000).value();
    for (const Change& change : read) {
      EXPECT_EQ(change.sequence, ++after);
      changes.emplace_back(change.kind, change.id);
    }
    return changes;
  }
  static Entry AliasOf(std::string_view token, std::string id) {
    const std::string parent = "/spire/agent/join_token/" + std::string(token);
    Entry alias = TestEntry("/alias", parent, {{"spiffe_id", TestId(parent).text()}});
    alias.id = std::move(id);
    alias.created_at = 1'790'000'000;
    return alias;
  }
  int64_t Now() const { return ToUnixSeconds(clock_.Now()); }

  TempDir directory_;
  FakeClock clock_;
  std::unique_ptr<Store> store_;
  std::vector<Change> heard_;
  int ids_made_ = 0;
};

using ChangeNames = std::vector<std::pair<ChangeKind, std::string>>;

// ---- entries ------------------------------------------------------------------------------------

TEST_P(StoreConformance, EntryComesBackWhole) {
  Entry entry = TestEntry("/web", "/spire/agent/x", {{"unix", "uid:1"}, {"unix", "gid:2"}});
  entry.x509_ttl_seconds = 60;
  entry.jwt_ttl_seconds = 30;
  entry.federates_with = {"a.test", "b.test"};
  entry.admin = true;
  entry.downstream = true;
  entry.expires_at = 1'900'000'000;
  entry.dns_names = {"z.example", "a.example", "*.\"quoted\".example"};
  entry.store_svid = true;
  entry.hint = "main";
  entry.has_additional_attributes = true;
  entry.disable_x509_svid_prefetch = true;
  entry.jwt_svid_include_jti = true;
  EntryOutcome outcome = Create(entry);
  ASSERT_TRUE(outcome.status.ok());
  entry.id = "entry-1";
  entry.created_at = Now();
  EXPECT_EQ(*outcome.entry, entry);
  EXPECT_EQ(*store_->entries().Get("entry-1"), entry);
  EXPECT_EQ(AllEntries(), std::vector{entry});
}

TEST_P(StoreConformance, EntryIdOfTheCallerIsKept) {
  Entry entry = TestEntry("/web", "/node", {{"a", "1"}});
  entry.id = "mine";
  EXPECT_EQ(Create(entry).entry->id, "mine");
  EXPECT_EQ(store_->entries().Get("other").code(), Code::kNotFound);
}

TEST_P(StoreConformance, EntryIdsAreToldApartByCase) {
  Entry lower = TestEntry("/web", "/node", {{"a", "1"}});
  Entry upper = TestEntry("/web", "/node", {{"a", "2"}});
  lower.id = "mine";
  upper.id = "MINE";
  EXPECT_TRUE(Create(lower).status.ok());
  EXPECT_TRUE(Create(upper).status.ok());
  EXPECT_EQ(AllEntries().front().id, "MINE");
}

TEST_P(StoreConformance, SimilarEntryIsRefusedWithTheExistingOne) {
  Entry first = *Create(TestEntry("/web", "/node", {{"a", "1"}, {"b", "2"}})).entry;
  Entry again = TestEntry("/web", "/node", {{"b", "2"}, {"a", "1"}});
  again.hint = "another";
  again.x509_ttl_seconds = 5;
  EntryOutcome outcome = Create(again);
  EXPECT_EQ(outcome.status.code(), Code::kAlreadyExists);
  EXPECT_EQ(*outcome.entry, first);
  EXPECT_EQ(AllEntries().size(), 1u);
}

TEST_P(StoreConformance, EntryIsNotSimilarWhenAnyPartOfItsKeyDiffers) {
  EXPECT_TRUE(Create(TestEntry("/web", "/node", {{"a", "1"}})).status.ok());
  EXPECT_TRUE(Create(TestEntry("/web", "/node", {{"a", "1"}, {"b", "2"}})).status.ok());
  EXPECT_TRUE(Create(TestEntry("/web", "/other", {{"a", "1"}})).status.ok());
  EXPECT_TRUE(Create(TestEntry("/web2", "/node", {{"a", "1"}})).status.ok());
  EXPECT_TRUE(Create(TestEntry("/web", "/node", {{"a", "2"}})).status.ok());
}

TEST_P(StoreConformance, TakenEntryIdIsRefusedWithTheExistingOne) {
  Entry first = TestEntry("/web", "/node", {{"a", "1"}});
  first.id = "mine";
  Create(first);
  Entry second = TestEntry("/db", "/node", {{"a", "1"}});
  second.id = "mine";
  EntryOutcome outcome = Create(second);
  EXPECT_EQ(outcome.status.code(), Code::kAlreadyExists);
  EXPECT_EQ(outcome.entry->spiffe_id, first.spiffe_id);
}

TEST_P(StoreConformance, BatchItemsSucceedAndFailEachAlone) {
  std::vector<Entry> batch = {TestEntry("/a", "/node", {{"a", "1"}}),
                              TestEntry("/a", "/node", {{"a", "1"}}),
                              TestEntry("/b", "/node", {{"a", "1"}})};
  int made = 0;
  auto outcomes = store_->entries().Create(
      batch, clock_.Now(), [&] { return "id-" + std::to_string(++made); });
  ASSERT_TRUE(outcomes.ok());
  ASSERT_EQ(outcomes->size(), 3u);
  EXPECT_TRUE((*outcomes)[0].status.ok());
  EXPECT_EQ((*outcomes)[1].status.code(), Code::kAlreadyExists);
  EXPECT_EQ((*outcomes)[1].entry->id, "id-1");
  EXPECT_TRUE((*outcomes)[2].status.ok());
  EXPECT_EQ(AllEntries().size(), 2u);
}

TEST_P(StoreConformance, EditGrowsTheRevisionAndKeepsCreation) {
  Entry entry = *Create(TestEntry("/web", "/node", {{"a", "1"}})).entry;
  EXPECT_EQ(entry.revision, 0);
  clock_.Advance(std::chrono::hours(1));
  EntryOutcome outcome = Edit(entry.id, [](const Entry& stored) -> Result<Entry> {
    Entry edited = stored;
    edited.selectors = {{"b", "2"}};
    edited.spiffe_id = TestId("/web2");
    edited.hint = "new";
    edited.revision = 99;
    edited.created_at = 1;
    return edited;
  });
  ASSERT_TRUE(outcome.status.ok());
  EXPECT_EQ(outcome.entry->revision, 1);
  EXPECT_EQ(outcome.entry->created_at, entry.created_at);
  EXPECT_EQ(*store_->entries().Get(entry.id), *outcome.entry);
  EXPECT_EQ(outcome.entry->selectors, (Selectors{{"b", "2"}}));
}

TEST_P(StoreConformance, EditThatIsRefusedChangesNothing) {
  Entry entry = *Create(TestEntry("/web", "/node", {{"a", "1"}})).entry;
  EntryOutcome refused =
      Edit(entry.id, [](const Entry&) -> Result<Entry> { return InvalidArgument("no"); });
  EXPECT_EQ(refused.status, InvalidArgument("no"));
  EXPECT_EQ(*store_->entries().Get(entry.id), entry);
  auto keep = [](const Entry& stored) -> Result<Entry> { return stored; };
  EXPECT_EQ(Edit("gone", keep).status.code(), Code::kNotFound);
}

TEST_P(StoreConformance, EditThatMakesASimilarEntryIsRefused) {
  Entry first = *Create(TestEntry("/web", "/node", {{"a", "1"}})).entry;
  Entry second = *Create(TestEntry("/web", "/node", {{"a", "2"}})).entry;
  EntryOutcome outcome = Edit(second.id, [](const Entry& stored) -> Result<Entry> {
    Entry edited = stored;
    edited.selectors = {{"a", "1"}};
    return edited;
  });
  EXPECT_EQ(outcome.status.code(), Code::kAlreadyExists);
  EXPECT_EQ(*outcome.entry, first);
  EXPECT_EQ(*store_->entries().Get(second.id), second);
}

TEST_P(StoreConformance, DeletedEntryIsGoneAndItsKeyFree) {
  Entry entry = *Create(TestEntry("/web", "/node", {{"a", "1"}})).entry;
  EntryOutcome outcome = Delete(entry.id);
  EXPECT_TRUE(outcome.status.ok());
  EXPECT_EQ(*outcome.entry, entry);
  EXPECT_EQ(Delete(entry.id).status.code(), Code::kNotFound);
  EXPECT_EQ(store_->entries().Get(entry.id).code(), Code::kNotFound);
  EXPECT_TRUE(Create(TestEntry("/web", "/node", {{"a", "1"}})).status.ok());
}

TEST_P(StoreConformance, ForEachVisitsInIdOrder) {
  for (const char* id : {"c", "a", "b"}) {
    Entry entry = TestEntry(std::string("/") + id, "/node", {{"a", "1"}});
    entry.id = id;
    Create(entry);
  }
  std::vector<std::string> ids;
  for (const Entry& entry : AllEntries()) ids.push_back(entry.id);
  EXPECT_EQ(ids, (std::vector<std::string>{"a", "b", "c"}));
}

// ---- agents and tokens --------------------------------------------------------------------------

TEST_P(StoreConformance, AgentComesBackWhole) {
  Agent agent = TestAgent("/spire/agent/x509pop/1");
  agent.attestation_type = "x509pop";
  agent.pending_serial = "2";
  agent.pending_not_after = 1'800'000'001;
  agent.may_reattest = true;
  agent.agent_version = "1.2.3";
  agent.selectors = {{"x509pop", "a"}, {"x509pop", "b"}};
  ASSERT_TRUE(store_->agents().CommitAttestation(agent, "", clock_.Now()).ok());
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
  EXPECT_EQ(agents.CommitAttestation(agent, "secret", clock_.Now()).code(),
            Code::kInvalidArgument);
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
  ASSERT_TRUE(agents.Edit(agent.id.text(), [](Agent& a) {
    a.banned = true;
    a.serial = "";
    return OkStatus();
  }).ok());
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
  EntryOutcome own =
      Create(TestEntry("/web", "/spire/agent/join_token/t1", {{"unix", "uid:1"}}));
  EXPECT_EQ(*store_->entries().Get("alias-1"), AliasOf("t1", "alias-1"));
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
  EXPECT_EQ(*agents.PruneTokens(clock_.Now()), 0);
  clock_.Advance(std::chrono::seconds(1));
  EXPECT_EQ(*agents.PruneTokens(clock_.Now()), 2);
  EXPECT_EQ(*agents.PruneTokens(clock_.Now()), 0);
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
  EXPECT_EQ(*agents.PruneTokens(clock_.Now()), 1);
  EXPECT_TRUE(store_->entries().Get("first").ok());
}

TEST_P(StoreConformance, TokenWhoseAliasWasDeletedIsPrunedAlone) {
  AgentStore& agents = store_->agents();
  ASSERT_TRUE(agents.CreateToken({"t", Now() + 60}, AliasOf("t", "alias")).ok());
  EXPECT_TRUE(Delete("alias").status.ok());
  clock_.Advance(std::chrono::hours(1));
  EXPECT_EQ(*agents.PruneTokens(clock_.Now()), 1);
}

TEST_P(StoreConformance, TokenWhoseAliasCannotBeMadeIsNotMadeEither) {
  Entry taken = TestEntry("/web", "/node", {{"a", "1"}});
  taken.id = "alias";
  Create(taken);
  Status refused = store_->agents().CreateToken({"t", Now() + 60}, AliasOf("t", "alias"));
  EXPECT_EQ(refused.code(), Code::kAlreadyExists);
  EXPECT_EQ(store_->agents().GetToken("t").code(), Code::kNotFound);
}

// ---- bundles and journal ------------------------------------------------------------------------

TEST_P(StoreConformance, BundleIsEditedInOneStepAndCountsItsChanges) {
  const TrustDomain td = *TrustDomain::Parse("example.org");
  EXPECT_EQ(store_->bundles().Get(td).code(), Code::kNotFound);
  PublicKey key = PrivateKey::Generate(KeyType::kEcP256)->Public();
  Certificate certificate = TestAuthority();
  auto add = [&](Bundle& bundle) {
    bundle.x509.push_back({certificate, bundle.x509.empty()});
    bundle.jwt.push_back({"kid-" + std::to_string(bundle.jwt.size()), key, 1'800'000'000, false});
    bundle.refresh_hint_seconds = 60;
    return OkStatus();
  };
  EXPECT_EQ(store_->bundles().Edit(td, add)->sequence_number, 1u);
  Bundle second = *store_->bundles().Edit(td, add);
  EXPECT_EQ(second.sequence_number, 2u);
  EXPECT_EQ(second.jwt.size(), 2u);
  EXPECT_TRUE(second.x509.at(0).tainted);
  EXPECT_FALSE(second.x509.at(1).tainted);
  EXPECT_EQ(*store_->bundles().Get(td), second);
  EXPECT_EQ(ChangesAfter(0), (ChangeNames{{ChangeKind::kBundle, "example.org"},
                                          {ChangeKind::kBundle, "example.org"}}));
  EXPECT_EQ(*store_->bundles().Edit(td, [](Bundle&) { return OkStatus(); }), second);
  EXPECT_EQ(*store_->changes().LastSequence(), 2u);
}

TEST_P(StoreConformance, RefusedBundleEditChangesNothing) {
  const TrustDomain td = *TrustDomain::Parse("example.org");
  auto refuse = [](Bundle& bundle) {
    bundle.refresh_hint_seconds = 9;
    return FailedPrecondition("no");
  };
  EXPECT_EQ(store_->bundles().Edit(td, refuse).status(), FailedPrecondition("no"));
  EXPECT_EQ(store_->bundles().Get(td).code(), Code::kNotFound);
}

TEST_P(StoreConformance, BundlesOfTrustDomainsAreApart) {
  const TrustDomain a = *TrustDomain::Parse("a.test");
  const TrustDomain b = *TrustDomain::Parse("b.test");
  auto hint = [](int64_t seconds) {
    return [seconds](Bundle& bundle) {
      bundle.refresh_hint_seconds = seconds;
      return OkStatus();
    };
  };
  ASSERT_TRUE(store_->bundles().Edit(a, hint(1)).ok());
  ASSERT_TRUE(store_->bundles().Edit(b, hint(2)).ok());
  EXPECT_EQ(store_->bundles().Get(a)->refresh_hint_seconds, 1);
  EXPECT_EQ(store_->bundles().Get(b)->refresh_hint_seconds, 2);
}

TEST_P(StoreConformance, JournalKeepsOrderAndAppliesInOneStep) {
  JournalRow old{.authority_id = "ff",
                 .kind = AuthorityKind::kX509,
                 .status = AuthorityStatus::kActive,
                 .key_name = "x509-a",
                 .certificate = std::string("\x30\x00\x01", 3),
                 .public_key = std::string("\x30\x00", 2),
                 .issued_at = 1,
                 .not_after = 2,
                 .activated_at = 3};
  JournalRow young{.authority_id = "aa", .kind = AuthorityKind::kJwt, .key_name = "jwt-b"};
  ASSERT_TRUE(store_->journal().Apply(std::vector{old, young}, {}).ok());
  EXPECT_EQ(*store_->journal().Load(), (std::vector{old, young}));
  old.status = AuthorityStatus::kOld;
  young.status = AuthorityStatus::kActive;
  ASSERT_TRUE(store_->journal().Apply(std::vector{young, old}, {}).ok());
  EXPECT_EQ(*store_->journal().Load(), (std::vector{old, young}));
  ASSERT_TRUE(store_->journal().Apply({}, std::vector<std::string>{"ff", "unknown"}).ok());
  EXPECT_EQ(*store_->journal().Load(), std::vector{young});
}

// ---- changes ------------------------------------------------------------------------------------

TEST_P(StoreConformance, EveryChangeIsInTheSequenceAndHeardInOrder) {
  EXPECT_EQ(*store_->changes().LastSequence(), 0u);
  EXPECT_TRUE(store_->changes().Since(0, 10)->empty());
  Create(TestEntry("/a", "/node", {{"a", "1"}}));
  Create(TestEntry("/a", "/node", {{"a", "1"}}));  // similar: no change
  Edit("entry-1", [](const Entry& stored) -> Result<Entry> { return stored; });
  ASSERT_TRUE(store_->agents()
                  .CommitAttestation(TestAgent("/spire/agent/join_token/a"), "", clock_.Now())
                  .ok());
  Delete("entry-1");
  EXPECT_EQ(ChangesAfter(0),
            (ChangeNames{{ChangeKind::kEntryPut, "entry-1"},
                         {ChangeKind::kEntryPut, "entry-1"},
                         {ChangeKind::kAgentPut, TestId("/spire/agent/join_token/a").text()},
                         {ChangeKind::kEntryDeleted, "entry-1"}}));
  ASSERT_EQ(heard_.size(), 4u);
  for (size_t i = 0; i < heard_.size(); ++i) EXPECT_EQ(heard_[i].sequence, i + 1);
}

TEST_P(StoreConformance, SinceIsBoundedAndRefusesTheFuture) {
  for (int i = 0; i < 5; ++i) {
    Create(TestEntry("/" + std::to_string(i), "/node", {{"a", "1"}}));
  }
  auto page = store_->changes().Since(1, 2);
  ASSERT_EQ(page->size(), 2u);
  EXPECT_EQ((*page)[0].sequence, 2u);
  EXPECT_TRUE(store_->changes().Since(5, 10)->empty());
  EXPECT_EQ(store_->changes().Since(6, 10).code(), Code::kOutOfRange);
}

TEST_P(StoreConformance, ListenerReadsWhatWasCommitted) {
  std::vector<std::string> read;
  store_->changes().SetListener(nullptr);
  store_->changes().SetListener([&](const std::vector<Change>& changes) {
    for (const Change& change : changes) {
      read.push_back(store_->entries().Get(change.id)->spiffe_id.text());
    }
  });
  Create(TestEntry("/a", "/node", {{"a", "1"}}));
  EXPECT_EQ(read, std::vector{TestId("/a").text()});
}

TEST_P(StoreConformance, ConcurrentWritersAllSucceedWithoutGaps) {
  constexpr int kThreads = 8;
  constexpr int kEach = 40;
  {
    std::vector<Thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back("write", [&, t](std::stop_token) {
        for (int i = 0; i < kEach; ++i) {
          Entry entry = TestEntry("/" + std::to_string(i), "/node-" + std::to_string(t % 4),
                                  {{"a", std::to_string(t / 4)}});
          entry.id = std::to_string(t) + "." + std::to_string(i);
          auto made = store_->entries().Create({entry}, clock_.Now(), nullptr);
          EXPECT_TRUE(made.ok() && made->at(0).status.ok());
          EXPECT_TRUE(store_->entries().Get(entry.id).ok());
        }
      });
    }
  }
  EXPECT_EQ(AllEntries().size(), size_t{kThreads * kEach});
  EXPECT_EQ(ChangesAfter(0).size(), size_t{kThreads * kEach});
  ASSERT_EQ(heard_.size(), size_t{kThreads * kEach});
  for (size_t i = 0; i < heard_.size(); ++i) EXPECT_EQ(heard_[i].sequence, i + 1);
}

TEST_P(StoreConformance, ClosedStoreRefusesWrites) {
  EXPECT_TRUE(store_->Check(false).ok());
  ASSERT_TRUE(store_->Close().ok());
  EXPECT_TRUE(store_->Close().ok());
  EXPECT_EQ(store_->agents().CreateToken({"t", 1}, {}).code(), Code::kUnavailable);
}

}  // namespace writ
