// SPDX-License-Identifier: Apache-2.0
#include "server/entry/registry.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <set>

#include "core/base/thread.h"
#include "test/fake/fake_clock.h"
#include "test/fake/fake_store.h"

namespace writ {
namespace {

const TrustDomain kDomain = *TrustDomain::Parse("example.org");
const Time kNow = FromUnixSeconds(1'790'000'000);

SpiffeId Id(std::string_view path) { return *SpiffeId::FromPath(kDomain, path); }

class RegistryTest : public testing::Test {
 protected:
  void Load() { registry_ = Registry::Load(store_, kDomain).value(); }

  // The new entry's ID.
  std::string Add(std::string id, std::string_view path, std::string_view parent,
                  Selectors selectors, const std::function<void(Entry&)>& change = {}) {
    Entry entry{.id = std::move(id),
                .spiffe_id = Id(path),
                .parent_id = Id(parent),
                .selectors = std::move(selectors)};
    if (change) change(entry);
    auto outcomes = store_.entries().Create({entry}, kNow, nullptr);
    EXPECT_TRUE(outcomes->at(0).status.ok());
    return entry.id;
  }
  void Delete(const std::string& id) {
    EXPECT_TRUE(store_.entries().Delete(std::vector{id})->at(0).status.ok());
  }
  void Attest(std::string_view path, Selectors selectors) {
    Agent agent{.id = Id(path), .attestation_type = "t", .selectors = std::move(selectors)};
    EXPECT_TRUE(store_.agents().CommitAttestation(agent, "", kNow).ok());
  }
  std::vector<std::string> Authorized(std::string_view agent, Time now = kNow) const {
    std::vector<std::string> ids;
    for (const EntryStamp& stamp : registry_->Authorized(Id(agent), now)) ids.push_back(stamp.id);
    return ids;
  }
  std::vector<std::string> Listed(const EntryFilter& filter) const {
    std::vector<std::string> ids;
    for (const Entry& entry : registry_->ListEntries(filter, kFromTheFirst, 100)) {
      ids.push_back(entry.id);
    }
    EXPECT_EQ(registry_->CountEntries(filter), ids.size());
    return ids;
  }

  FakeStore store_;
  std::unique_ptr<Registry> registry_;
};

using Ids = std::vector<std::string>;
constexpr std::string_view kAgent = "/spire/agent/t/1";
constexpr std::string_view kServer = "/spire/server";

// ---- authorization ------------------------------------------------------------------------------

TEST_F(RegistryTest, AgentGetsItsEntriesAndTheirDescendants) {
  Load();
  Attest(kAgent, {});
  Add("1", "/a", kAgent, {{"x", "1"}});
  Add("2", "/b", "/a", {{"x", "2"}});
  Add("3", "/c", "/b", {{"x", "3"}});
  Add("4", "/d", "/other", {{"x", "4"}});
  EXPECT_EQ(Authorized(kAgent), (Ids{"1", "2", "3"}));
  EXPECT_EQ(Authorized("/spire/agent/t/2"), Ids{});
  EXPECT_EQ(registry_->AuthorizedEntry(Id(kAgent), "3", kNow)->spiffe_id, Id("/c"));
  EXPECT_FALSE(registry_->AuthorizedEntry(Id(kAgent), "4", kNow));
  EXPECT_FALSE(registry_->AuthorizedEntry(Id(kAgent), "unknown", kNow));
}

TEST_F(RegistryTest, AVisitEndsAtTheEntryThatIsRefused) {
  Load();
  for (const char* id : {"1", "2", "3"}) Add(id, std::string("/") + id, kAgent, {{"x", "1"}});
  Add("4", "/d", "/other", {{"x", "4"}});
  const Ids ids = {"1", "4", "2", "nobody", "3"};
  Ids visited;
  auto visit = [&](const Entry& entry) {
    if (entry.id == "3") return false;
    visited.push_back(entry.id);
    return true;
  };
  EXPECT_EQ(registry_->VisitAuthorized(Id(kAgent), ids, kNow, visit), 4u);
  EXPECT_EQ(visited, (Ids{"1", "2"}));
  EXPECT_EQ(registry_->VisitAuthorized(Id(kAgent), Ids{"4", "nobody"}, kNow, visit), 2u);
}

TEST_F(RegistryTest, CyclesEnd) {
  Load();
  Add("1", "/a", kAgent, {{"x", "1"}});
  Add("2", "/b", "/a", {{"x", "2"}});
  Add("3", "/a", "/b", {{"x", "3"}});
  Add("4", "/self", "/self", {{"x", "4"}});
  EXPECT_EQ(Authorized(kAgent), (Ids{"1", "2", "3"}));
  EXPECT_TRUE(registry_->AuthorizedEntry(Id(kAgent), "3", kNow));
  EXPECT_FALSE(registry_->AuthorizedEntry(Id(kAgent), "4", kNow));
}

TEST_F(RegistryTest, AliasWhoseSelectorsTheAgentHasIsOneMoreStart) {
  Load();
  Attest(kAgent, {{"n", "1"}, {"n", "2"}, {"n", "3"}});
  Attest("/spire/agent/t/2", {{"n", "1"}});
  Add("alias", "/cluster", kServer, {{"n", "1"}, {"n", "2"}});
  Add("1", "/a", "/cluster", {{"x", "1"}});
  Add("2", "/b", "/a", {{"x", "2"}});
  EXPECT_EQ(Authorized(kAgent), (Ids{"1", "2"}));  // the alias itself is not sent
  EXPECT_EQ(Authorized("/spire/agent/t/2"), Ids{});
  EXPECT_TRUE(registry_->AuthorizedEntry(Id(kAgent), "2", kNow));
  EXPECT_FALSE(registry_->AuthorizedEntry(Id(kAgent), "alias", kNow));
  EXPECT_FALSE(registry_->AuthorizedEntry(Id("/spire/agent/t/2"), "2", kNow));
  Attest("/spire/agent/t/2", {{"n", "1"}, {"n", "2"}});
  EXPECT_EQ(Authorized("/spire/agent/t/2"), (Ids{"1", "2"}));
  Delete("alias");
  EXPECT_EQ(Authorized(kAgent), Ids{});
}

TEST_F(RegistryTest, ServerIdItselfIsNoWayToItsAliases) {
  Load();
  Add("alias", "/cluster", kServer, {{"n", "1"}});
  EXPECT_EQ(Authorized(kServer), Ids{});
  EXPECT_FALSE(registry_->AuthorizedEntry(Id(kServer), "alias", kNow));
}

TEST_F(RegistryTest, ExpiredEntryIsLeftOutAndPassesNothingOn) {
  Load();
  const int64_t end = ToUnixSeconds(kNow) + 10;
  Attest(kAgent, {{"n", "1"}});
  Add("1", "/a", kAgent, {{"x", "1"}}, [&](Entry& e) { e.expires_at = end; });
  Add("2", "/b", "/a", {{"x", "2"}});
  Add("alias", "/cluster", kServer, {{"n", "1"}}, [&](Entry& e) { e.expires_at = end; });
  Add("3", "/c", "/cluster", {{"x", "3"}});
  EXPECT_EQ(Authorized(kAgent, FromUnixSeconds(end)), (Ids{"1", "2", "3"}));
  const Time after = FromUnixSeconds(end + 1);
  EXPECT_EQ(Authorized(kAgent, after), Ids{});
  for (const char* id : {"1", "2", "3"}) {
    EXPECT_TRUE(registry_->AuthorizedEntry(Id(kAgent), id, FromUnixSeconds(end)));
    EXPECT_FALSE(registry_->AuthorizedEntry(Id(kAgent), id, after));
  }
}

TEST_F(RegistryTest, StampTellsRevisionAndCreation) {
  Load();
  Add("1", "/a", kAgent, {{"x", "1"}});
  auto keep = [](const Entry& stored) -> Result<Entry> { return stored; };
  ASSERT_TRUE(store_.entries().Edit({{"1", keep}})->at(0).status.ok());
  std::vector<EntryStamp> stamps = registry_->Authorized(Id(kAgent), kNow);
  ASSERT_EQ(stamps.size(), 1u);
  EXPECT_EQ(stamps[0].revision, 1);
  EXPECT_EQ(stamps[0].created_at, ToUnixSeconds(kNow));
}

// ---- following ----------------------------------------------------------------------------------

TEST_F(RegistryTest, LoadsWhatIsThere) {
  Attest(kAgent, {{"n", "1"}});
  Add("1", "/a", kAgent, {{"x", "1"}});
  Load();
  EXPECT_EQ(Authorized(kAgent), Ids{"1"});
  EXPECT_EQ(registry_->GetAgent(Id(kAgent).text())->selectors, (Selectors{{"n", "1"}}));
}

TEST_F(RegistryTest, EntryIsKeptWhole) {
  Load();
  Add("1", "/a", kAgent, {{"x", "1"}, {"unix", "path:/a:b"}}, [](Entry& e) {
    e.x509_ttl_seconds = 1;
    e.jwt_ttl_seconds = 2;
    e.federates_with = {"a.test", "b.test"};
    e.admin = e.downstream = e.store_svid = e.has_additional_attributes = true;
    e.disable_x509_svid_prefetch = e.jwt_svid_include_jti = true;
    e.expires_at = 1'900'000'000;
    e.dns_names = {"z", "a"};
    e.hint = "h";
  });
  EXPECT_EQ(*registry_->GetEntry("1"), *store_.entries().Get("1"));
  EXPECT_FALSE(registry_->GetEntry("2"));
  Agent agent{.id = Id(kAgent), .serial = "5", .selectors = {{"n", "1"}}};
  ASSERT_TRUE(store_.agents().CommitAttestation(agent, "", kNow).ok());
  EXPECT_EQ(*registry_->GetAgent(agent.id.text()), *store_.agents().Get(agent.id.text()));
  ASSERT_TRUE(store_.agents().Delete(agent.id.text()).ok());
  EXPECT_FALSE(registry_->GetAgent(agent.id.text()));
}

TEST_F(RegistryTest, EntriesOfAnIdAreItsHoldersInOrderOfCreation) {
  Load();
  Add("2", "/a", kAgent, {{"x", "1"}}, [](Entry& e) { e.admin = true; });
  Add("1", "/a", "/p", {{"x", "1"}});
  Add("3", "/b", "/a", {{"x", "1"}});
  std::vector<Entry> entries = registry_->EntriesOfId(Id("/a"));
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[1].id, "1");
  EXPECT_TRUE(entries[0].admin);
  EXPECT_TRUE(registry_->EntriesOfId(Id("/none")).empty());
}

TEST_F(RegistryTest, ChangeThatCannotBeReadDeniesUntilItCan) {
  Load();
  Attest(kAgent, {});
  Add("1", "/a", kAgent, {{"x", "1"}});
  store_.FailReads(Unavailable("disk"));
  Attest("/spire/agent/t/2", {});
  auto keep = [](const Entry& stored) -> Result<Entry> { return stored; };
  ASSERT_TRUE(store_.entries().Edit({{"1", keep}})->at(0).status.ok());
  EXPECT_EQ(Authorized(kAgent), Ids{});
  EXPECT_FALSE(registry_->GetAgent(Id("/spire/agent/t/2").text()));
  store_.FailReads(OkStatus());
  EXPECT_EQ(registry_->GetEntry("1")->revision, 1);
  EXPECT_TRUE(registry_->GetAgent(Id("/spire/agent/t/2").text()));
}

TEST_F(RegistryTest, FailedLoadIsAFailure) {
  store_.FailReads(Unavailable("disk"));
  EXPECT_EQ(Registry::Load(store_, kDomain).status().code(), Code::kUnavailable);
  store_.FailReads(OkStatus());
  Add("1", "/a", kAgent, {{"x", "1"}});  // nobody listens any more
}

TEST_F(RegistryTest, ReadersSeeEachWriteAsSoonAsItReturned) {
  Load();
  std::atomic<bool> stop = false;
  Thread reader("read", [&](std::stop_token) {
    while (!stop) {
      for (const EntryStamp& stamp : registry_->Authorized(Id(kAgent), kNow)) {
        (void)registry_->AuthorizedEntry(Id(kAgent), stamp.id, kNow);
      }
    }
  });
  {
    std::vector<Thread> writers;
    for (int w = 0; w < 3; ++w) {
      writers.emplace_back("write", [&, w](std::stop_token) {
        for (int i = 0; i < 200; ++i) {
          std::string id = Add(std::to_string(w) + "." + std::to_string(i), "/" + std::to_string(w),
                               kAgent, {{"i", std::to_string(i)}});
          EXPECT_TRUE(registry_->AuthorizedEntry(Id(kAgent), id, kNow));
          if (i % 2 == 0) Delete(id);
          EXPECT_EQ(registry_->GetEntry(id).has_value(), i % 2 != 0);
        }
      });
    }
  }
  stop = true;
  reader.Join();
  EXPECT_EQ(Authorized(kAgent).size(), 300u);
}

// ---- filters ------------------------------------------------------------------------------------

TEST_F(RegistryTest, SelectorFiltersMatchAsInSpire) {
  Load();
  Add("1", "/1", "/p", {{"a", "1"}, {"b", "2"}, {"c", "3"}});
  Add("2", "/2", "/p", {{"a", "1"}, {"b", "2"}});
  Add("3", "/3", "/p", {{"a", "1"}});
  Add("4", "/4", "/p", {{"d", "4"}});
  const Selectors ab = {{"a", "1"}, {"b", "2"}};
  EXPECT_EQ(Listed({.selectors = {{ab, SelectorMatch::kExact}}}), Ids{"2"});
  EXPECT_EQ(Listed({.selectors = {{ab, SelectorMatch::kSubset}}}), (Ids{"2", "3"}));
  EXPECT_EQ(Listed({.selectors = {{ab, SelectorMatch::kSuperset}}}), (Ids{"1", "2"}));
  EXPECT_EQ(Listed({.selectors = {{ab, SelectorMatch::kAny}}}), (Ids{"1", "2", "3"}));
  const Selectors strange = {{"a", "1"}, {"never", "seen"}};
  EXPECT_EQ(Listed({.selectors = {{strange, SelectorMatch::kExact}}}), Ids{});
  EXPECT_EQ(Listed({.selectors = {{strange, SelectorMatch::kSubset}}}), Ids{"3"});
  EXPECT_EQ(Listed({.selectors = {{strange, SelectorMatch::kSuperset}}}), Ids{});
  EXPECT_EQ(Listed({.selectors = {{strange, SelectorMatch::kAny}}}), (Ids{"1", "2", "3"}));
}

TEST_F(RegistryTest, FederationFiltersMatchAsInSpire) {
  Load();
  auto federate = [](std::vector<std::string> with) {
    return [with](Entry& e) { e.federates_with = with; };
  };
  Add("1", "/1", "/p", {{"a", "1"}}, federate({"a.test", "b.test", "c.test"}));
  Add("2", "/2", "/p", {{"a", "1"}}, federate({"a.test", "b.test"}));
  Add("3", "/3", "/p", {{"a", "1"}}, federate({"a.test"}));
  Add("4", "/4", "/p", {{"a", "1"}});
  const std::vector<std::string> ba = {"b.test", "a.test", "a.test"};
  EXPECT_EQ(Listed({.federates_with = {{ba, SelectorMatch::kExact}}}), Ids{"2"});
  EXPECT_EQ(Listed({.federates_with = {{ba, SelectorMatch::kSubset}}}), (Ids{"2", "3"}));
  EXPECT_EQ(Listed({.federates_with = {{ba, SelectorMatch::kSuperset}}}), (Ids{"1", "2"}));
  EXPECT_EQ(Listed({.federates_with = {{ba, SelectorMatch::kAny}}}), (Ids{"1", "2", "3"}));
}

TEST_F(RegistryTest, PlainFiltersAndTheirCombination) {
  Load();
  Add("1", "/a", "/p", {{"a", "1"}}, [](Entry& e) { e.hint = "h"; });
  Add("2", "/a", "/q", {{"a", "1"}}, [](Entry& e) { e.downstream = true; });
  Add("3", "/b", "/q", {{"a", "1"}});
  EXPECT_EQ(Listed({}), (Ids{"1", "2", "3"}));
  EXPECT_EQ(Listed({.spiffe_id = Id("/a")}), (Ids{"1", "2"}));
  EXPECT_EQ(Listed({.parent_id = Id("/q")}), (Ids{"2", "3"}));
  EXPECT_EQ(Listed({.spiffe_id = Id("/a"), .parent_id = Id("/q")}), Ids{"2"});
  EXPECT_EQ(Listed({.spiffe_id = Id("/none")}), Ids{});
  EXPECT_EQ(Listed({.hint = "h"}), Ids{"1"});
  EXPECT_EQ(Listed({.downstream = true}), Ids{"2"});
  EXPECT_EQ(Listed({.downstream = false}), (Ids{"1", "3"}));
}

TEST_F(RegistryTest, PagesFollowEachOther) {
  Load();
  for (const char* id : {"e", "a", "d", "b", "c"}) {
    Add(id, std::string("/") + id, "/p", {{"a", "1"}});
  }
  for (const EntryFilter& filter : {EntryFilter{}, EntryFilter{.parent_id = Id("/p")}}) {
    int64_t after = kFromTheFirst;
    Ids seen;
    while (true) {
      std::vector<Entry> page = registry_->ListEntries(filter, after, 2);
      if (page.empty()) break;
      EXPECT_LE(page.size(), 2u);
      for (const Entry& entry : page) seen.push_back(entry.id);
      after = page.back().ordinal;
    }
    EXPECT_EQ(seen, (Ids{"e", "a", "d", "b", "c"}));
    EXPECT_TRUE(registry_->ListEntries(filter, kFromTheFirst, 0).empty());
  }
}

TEST_F(RegistryTest, AgentFilters) {
  Load();
  auto put = [&](std::string_view path, const std::function<void(Agent&)>& change) {
    Agent agent{.id = Id(path), .attestation_type = "t", .not_after = 100};
    change(agent);
    ASSERT_TRUE(store_.agents().CommitAttestation(agent, "", kNow).ok());
  };
  put("/spire/agent/t/1", [](Agent& a) { a.banned = true; });
  put("/spire/agent/t/2", [](Agent& a) { a.may_reattest = true; });
  put("/spire/agent/u/3", [](Agent& a) {
    a.attestation_type = "u";
    a.not_after = 50;
    a.selectors = {{"a", "1"}, {"b", "2"}};
  });
  auto listed = [&](const AgentFilter& filter) {
    std::string names;
    for (const Agent& agent : registry_->ListAgents(filter, kFromTheFirst, 10)) {
      names += agent.id.text().back();
    }
    EXPECT_EQ(registry_->CountAgents(filter), names.size());
    return names;
  };
  EXPECT_EQ(listed({}), "123");
  EXPECT_EQ(listed({.attestation_type = "t"}), "12");
  EXPECT_EQ(listed({.banned = true}), "1");
  EXPECT_EQ(listed({.banned = false}), "23");
  EXPECT_EQ(listed({.may_reattest = true}), "2");
  EXPECT_EQ(listed({.expires_before = 100}), "3");
  EXPECT_EQ(listed({.expires_before = 101}), "123");
  const Selectors a = {{"a", "1"}};
  const Selectors abc = {{"a", "1"}, {"b", "2"}, {"c", "3"}};
  EXPECT_EQ(listed({.selectors = {{a, SelectorMatch::kSuperset}}}), "3");
  EXPECT_EQ(listed({.selectors = {{a, SelectorMatch::kExact}}}), "");
  EXPECT_EQ(listed({.selectors = {{abc, SelectorMatch::kSubset}}}), "3");
  EXPECT_EQ(listed({.selectors = {{abc, SelectorMatch::kAny}}}), "3");
  const int64_t first = registry_->ListAgents({}, kFromTheFirst, 1).at(0).ordinal;
  EXPECT_EQ(registry_->ListAgents({}, first, 1).at(0).id, Id("/spire/agent/t/2"));
}

}  // namespace
}  // namespace writ
