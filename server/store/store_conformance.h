// SPDX-License-Identifier: Apache-2.0
//
// What every kind of Store must do: one suite, run on each kind by INSTANTIATE_TEST_SUITE_P.
#pragma once

#include <algorithm>

#include "server/store/store_agents_conformance.h"
#include "server/store/store_fixture.h"

namespace writ {

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
  entry.ordinal = 1;
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

TEST_P(StoreConformance, ExpiredEntriesArePrunedTheOldestFirst) {
  auto add = [&](const std::string& id, int64_t expires_at) {
    Entry entry = TestEntry("/" + id, "/node", {{"a", "1"}});
    entry.id = id;
    entry.expires_at = expires_at;
    ASSERT_TRUE(Create(entry).status.ok());
  };
  add("endless", 0);
  add("later", Now() + 100);
  add("second", Now() - 1);
  add("now", Now());
  add("first", Now() - 2);
  add("third", Now() - 1);
  using Ids = std::vector<std::string>;
  EXPECT_EQ(*store_->entries().Prune(clock_.Now(), 1), Ids{"first"});
  const uint64_t before = *store_->changes().LastSequence();
  Ids rest = *store_->entries().Prune(clock_.Now(), 10);
  std::sort(rest.begin(), rest.end());
  EXPECT_EQ(rest, (Ids{"second", "third"}));
  const std::vector<Change> changes = *store_->changes().Since(before, 10);
  ASSERT_EQ(changes.size(), 2u);
  EXPECT_EQ(changes[1].kind, ChangeKind::kEntryDeleted);
  EXPECT_EQ(changes[1].moved_from, "spiffe://example.org/" + changes[1].id);
  EXPECT_TRUE(store_->entries().Prune(clock_.Now(), 10)->empty());
  EXPECT_EQ(AllEntries().size(), 3u);
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

TEST_P(StoreConformance, TakenEntryIdIsRefusedWithoutTheOtherEntry) {
  Entry first = TestEntry("/web", "/node", {{"a", "1"}});
  first.id = "mine";
  Create(first);
  Entry second = TestEntry("/db", "/node", {{"a", "1"}});
  second.id = "mine";
  EntryOutcome outcome = Create(second);
  EXPECT_EQ(outcome.status.code(), Code::kAlreadyExists);
  EXPECT_FALSE(outcome.entry.has_value());
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

TEST_P(StoreConformance, OrdinalsRiseInTheOrderOfCreationAndStay) {
  Agent agent = TestAgent("/spire/agent/join_token/a");
  ASSERT_TRUE(store_->agents().CommitAttestation(agent, "", clock_.Now()).ok());
  const int64_t agents_first = store_->agents().Get(agent.id.text())->ordinal;
  const int64_t first = Create(TestEntry("/z", "/node", {{"a", "1"}})).entry->ordinal;
  const int64_t second = Create(TestEntry("/a", "/node", {{"a", "1"}})).entry->ordinal;
  EXPECT_LT(first, second);
  const EntryOutcome edited = Edit("entry-1", [](Entry stored) -> Result<Entry> {
    stored.ordinal = 99;
    stored.hint = "h";
    return stored;
  });
  EXPECT_EQ(edited.entry->ordinal, first);
  EXPECT_EQ(store_->entries().Get("entry-1")->ordinal, first);
  agent.serial = "77";
  ASSERT_TRUE(store_->agents().CommitAttestation(agent, "", clock_.Now()).ok());
  EXPECT_EQ(store_->agents().Get(agent.id.text())->ordinal, agents_first);
  const Agent other = TestAgent("/spire/agent/join_token/0");
  ASSERT_TRUE(store_->agents().CommitAttestation(other, "", clock_.Now()).ok());
  EXPECT_GT(store_->agents().Get(other.id.text())->ordinal, agents_first);
}

TEST_P(StoreConformance, AnEntryThatAChangeBringsIsTheStoredOne) {
  const auto expect_stored = [this] {
    ASSERT_FALSE(heard_.empty());
    const std::shared_ptr<const Entry> brought = heard_.back().entry;
    if (!brought) return;
    EXPECT_EQ(*brought, *store_->entries().Get("entry-1"));
    EXPECT_EQ(AllEntries(), std::vector{*brought});
  };
  Entry entry = TestEntry("/a", "/node", {{"b", "2"}, {"a", "1"}});
  entry.dns_names = {"z.example.org", "a.example.org"};
  entry.federates_with = {"other.org", "example.com"};
  entry.hint = "h";
  Create(entry);
  expect_stored();
  Edit("entry-1", [](Entry stored) -> Result<Entry> {
    stored.created_at = 7;
    stored.revision = 70;
    stored.selectors.Insert({"a", "0"});
    return stored;
  });
  expect_stored();
  Delete("entry-1");
  EXPECT_EQ(heard_.back().entry, nullptr);
}

TEST_P(StoreConformance, ChangesSayHowFarTheyReach) {
  using From = std::optional<std::string>;
  Create(TestEntry("/a", "/node", {{"a", "1"}}));
  Edit("entry-1", [](Entry stored) -> Result<Entry> {
    stored.hint = "other";
    return stored;
  });
  Edit("entry-1", [](Entry stored) -> Result<Entry> {
    stored.spiffe_id = TestId("/b");
    return stored;
  });
  Edit("entry-1", [](Entry stored) -> Result<Entry> {
    stored.expires_at = 1'900'000'000;
    return stored;
  });
  Delete("entry-1");
  Agent agent = TestAgent("/spire/agent/join_token/a");
  ASSERT_TRUE(store_->agents().CommitAttestation(agent, "", clock_.Now()).ok());
  auto post = [](Agent& stored) {
    stored.agent_version = "9";
    return OkStatus();
  };
  ASSERT_TRUE(store_->agents().Edit(agent.id.text(), post).ok());
  agent.selectors.Insert({"more", "1"});
  ASSERT_TRUE(store_->agents().CommitAttestation(agent, "", clock_.Now()).ok());
  const std::string a = TestId("/a").text();
  const std::string b = TestId("/b").text();
  const std::vector<From> expected = {"", std::nullopt, a, b, b, "", std::nullopt, ""};
  auto changes = store_->changes().Since(0, 100);
  ASSERT_EQ(changes->size(), expected.size());
  ASSERT_EQ(heard_.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ((*changes)[i].moved_from, expected[i]) << i;
    EXPECT_EQ(heard_[i].moved_from, expected[i]) << i;
  }
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
