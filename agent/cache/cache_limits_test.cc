// SPDX-License-Identifier: Apache-2.0
//
// Which X.509-SVIDs the cache holds, gives up and asks for.
#include <set>
#include <string>

#include "agent/cache/cache_fixture.h"

namespace writ {
namespace {

using State = WorkloadUpdate::State;

class CacheLimitsTest : public CacheTest {
 protected:
  CacheLimitsTest() { cache_ = Cache::Make(&clock_, {.x509_max = 2}); }

  void PutEntries(const std::vector<std::pair<std::string, int>>& id_and_uid) {
    CacheChange change;
    for (const auto& [id, uid] : id_and_uid) change.put.push_back(MakeEntry(id, {Uid(uid)}));
    cache_->Apply(std::move(change));
  }
  void Issue(const std::vector<std::string>& ids) {
    CacheChange change;
    for (const std::string& id : ids) change.x509[id] = MakeX509("svid of " + id);
    cache_->Apply(std::move(change));
  }
  void IssueWanted() { Issue(WantedIds()); }
  bool Holds(int uid) { return cache_->Lookup({Uid(uid)})->state == State::kReady; }
  std::vector<std::string> UrgentIds() {
    std::vector<std::string> ids;
    for (const X509Want& want : cache_->Urgent()) ids.push_back(want.entry_id);
    return ids;
  }
};
using Ids = std::vector<std::string>;

TEST_F(CacheLimitsTest, PrefetchesUpToTheLimitAlone) {
  PutEntries({{"a", 1}, {"b", 2}, {"c", 3}});
  EXPECT_EQ(WantedIds().size(), 2u);
  IssueWanted();
  EXPECT_EQ(WantedIds(), Ids());
  EXPECT_EQ(Holds(1) + Holds(2) + Holds(3), 2);
}

TEST_F(CacheLimitsTest, FetchesWhatASubscriberWaitsForAndGivesUpTheLeastRecentlyUsed) {
  PutEntries({{"a", 1}, {"b", 2}});
  IssueWanted();
  Subscribe({Uid(1)}).reset();  // used, so "b" goes first
  PutEntries({{"c", 3}});
  EXPECT_EQ(WantedIds(), Ids());
  int awaited = 0;
  cache_->OnAwaited([&] { ++awaited; });
  auto sub = Subscribe({Uid(3)});
  EXPECT_EQ(awaited, 1);
  EXPECT_EQ(sub->Take()->state, State::kPending);
  EXPECT_EQ(UrgentIds(), Ids{"c"});
  Issue({"c"});
  EXPECT_EQ(sub->Take()->state, State::kReady);
  EXPECT_TRUE(Holds(1));
  EXPECT_FALSE(Holds(2));
}

TEST_F(CacheLimitsTest, NeverGivesUpWhatASubscriberHasAndHoldsNothingElseThen) {
  PutEntries({{"a", 1}, {"b", 2}, {"c", 3}, {"d", 4}});
  std::vector<std::unique_ptr<Subscription>> subs;
  for (int uid : {1, 2, 3}) subs.push_back(Subscribe({Uid(uid)}));
  EXPECT_EQ(WantedIds(), (Ids{"a", "b", "c"}));
  IssueWanted();
  EXPECT_TRUE(Holds(1) && Holds(2) && Holds(3));
  EXPECT_EQ(WantedIds(), Ids());
  subs.pop_back();  // back within the limit
  EXPECT_FALSE(Holds(3));
  EXPECT_TRUE(Holds(1) && Holds(2));
}

TEST_F(CacheLimitsTest, SharedDemandEndsWithTheLastSubscriber) {
  cache_ = Cache::Make(&clock_, {.x509_max = 0});
  PutEntries({{"a", 1}});
  auto one = Subscribe({Uid(1)});
  auto two = Subscribe({Uid(1)});
  auto three = Subscribe({Uid(1), Uid(2)});
  IssueWanted();
  one.reset();
  three.reset();
  EXPECT_TRUE(Holds(1));
  two.reset();
  EXPECT_FALSE(Holds(1));
}

TEST_F(CacheLimitsTest, AnEntryThatWantsNoPrefetchIsIssuedForASubscriber) {
  Entry entry = MakeEntry("a", {Uid(1)});
  entry.disable_x509_svid_prefetch = true;
  CacheChange change;
  change.put.push_back(entry);
  cache_->Apply(std::move(change));
  EXPECT_EQ(WantedIds(), Ids());
  auto bundles = cache_->Subscribe({Uid(1)}, Interest::kBundle, [] {});
  EXPECT_EQ(WantedIds(), Ids());
  auto sub = Subscribe({Uid(1)});
  EXPECT_EQ(WantedIds(), Ids{"a"});
}

TEST_F(CacheLimitsTest, OneThatIsRefusedDoesNotKeepTheOthersFromBeingFetchedAhead) {
  cache_ = Cache::Make(&clock_, {.x509_max = 1});
  PutEntries({{"a", 1}, {"b", 2}});
  const Ids first = WantedIds();
  ASSERT_EQ(first.size(), 1u);
  EXPECT_NE(WantedIds(), first);
}

TEST_F(CacheLimitsTest, WhatAChangeMakesASubscriberNeedIsUrgent) {
  cache_ = Cache::Make(&clock_, {.x509_max = 9});
  PutEntries({{"a", 1}, {"z", 2}});
  IssueWanted();
  auto sub = Subscribe({Uid(1), Uid(9)});
  PutEntries({{"b", 1}, {"c", 2}});
  EXPECT_EQ(UrgentIds(), Ids{"b"});
  CacheChange change;
  for (const auto& [id, uid] : {std::pair("a", 1), {"z", 2}}) {
    Entry changed = MakeEntry(id, {Uid(uid)});
    changed.dns_names = {"a.example.org"};
    change.put.push_back(changed);
  }
  cache_->Apply(std::move(change));
  EXPECT_EQ(UrgentIds(), (Ids{"b", "a"}));
  Issue({"a", "b"});
  EXPECT_EQ(UrgentIds(), Ids());
}

TEST_F(CacheLimitsTest, RenewsWhatIsDueAndWhatHasChanged) {
  PutEntries({{"a", 1}});
  CacheChange change;
  change.x509["a"] = MakeX509("short", clock_.Now() + std::chrono::minutes(10));
  cache_->Apply(std::move(change));
  EXPECT_EQ(cache_->NextRenewal(), clock_.Now() + std::chrono::minutes(10));
  EXPECT_EQ(WantedIds(), Ids());
  Entry changed = MakeEntry("a", {Uid(1)});
  changed.dns_names = {"a.example.org"};
  CacheChange update;
  update.put.push_back(changed);
  cache_->Apply(std::move(update));
  EXPECT_EQ(WantedIds(), Ids{"a"});
  EXPECT_TRUE(Holds(1));  // served on meanwhile
  Issue({"a"});
  EXPECT_EQ(WantedIds(), Ids());
}

TEST_F(CacheTest, TellsItsWriterWhatItHolds) {
  Entry ends = MakeEntry("b", {Uid(1)});
  ends.expires_at = ToUnixSeconds(clock_.Now()) + 10;
  CacheChange change;
  change.put = {MakeEntry("a", {Uid(1)}), ends};
  cache_->Apply(std::move(change));
  EXPECT_EQ(cache_->size(), 2u);
  EXPECT_EQ(cache_->Find("c"), nullptr);
  ASSERT_NE(cache_->Find("b"), nullptr);
  EXPECT_EQ(cache_->Find("b")->Unpack(), ends);
  std::set<std::string> ids;
  cache_->ForEach([&ids](const PackedEntry& entry) { ids.emplace(entry.id()); });
  EXPECT_EQ(ids, (std::set<std::string>{"a", "b"}));
  EXPECT_FALSE(cache_->HoldsEnded());
  clock_.Advance(std::chrono::seconds(11));
  cache_->DropExpired();
  EXPECT_TRUE(cache_->HoldsEnded());
  Remove({"b"});
  EXPECT_FALSE(cache_->HoldsEnded());
}

}  // namespace
}  // namespace writ
