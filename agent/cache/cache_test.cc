// SPDX-License-Identifier: Apache-2.0
#include "agent/cache/cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <set>

#include "agent/cache/cache_fixture.h"
#include "core/base/thread.h"

namespace writ {
namespace {

using State = WorkloadUpdate::State;

std::shared_ptr<const Bundle> MakeBundle(const std::vector<PublicKey>& keys) {
  auto bundle =
      std::make_shared<Bundle>(Bundle{.trust_domain = *TrustDomain::Parse("example.org")});
  for (size_t i = 0; i < keys.size(); ++i) {
    bundle->jwt.push_back(JwtAuthority{.key_id = "k" + std::to_string(i), .key = keys[i]});
  }
  return bundle;
}

TEST_F(CacheTest, SaysNotSyncedUntilTheFirstApply) {
  auto sub = Subscribe({Uid(1)});
  EXPECT_EQ(sub->Take()->state, State::kNotSynced);
  EXPECT_EQ(sub->Take(), nullptr);
  EXPECT_EQ(notified_, 0);
  cache_->Apply({});
  EXPECT_EQ(notified_, 1);
  EXPECT_EQ(sub->Take()->state, State::kNoIdentity);
}

TEST_F(CacheTest, MatchesEntriesWhoseSelectorsAreASubset) {
  PutReady(MakeEntry("a", {Uid(1)}));
  PutReady(MakeEntry("b", {Uid(1), Uid(2)}));
  PutReady(MakeEntry("c", {Uid(3)}));
  PutReady(MakeEntry("none", {}));
  auto update = cache_->Lookup({Uid(1), Uid(2), Uid(9)});
  ASSERT_EQ(update->state, State::kReady);
  ASSERT_EQ(update->identities.size(), 2u);
  EXPECT_EQ(update->identities[0].entry->id, "a");
  EXPECT_EQ(update->identities[1].entry->id, "b");
  EXPECT_EQ(cache_->Lookup({Uid(2)})->state, State::kNoIdentity);
  EXPECT_EQ(cache_->Lookup({})->state, State::kNoIdentity);
}

TEST_F(CacheTest, IsPendingWhileAMatchingEntryHasNoSvid) {
  CacheChange change;
  change.put.push_back(MakeEntry("a", {Uid(1)}));
  cache_->Apply(std::move(change));
  auto sub = Subscribe({Uid(1)});
  EXPECT_EQ(sub->Take()->state, State::kPending);
  CacheChange svid;
  svid.x509["a"] = MakeX509("one");
  svid.x509["unknown"] = MakeX509("two");
  cache_->Apply(std::move(svid));
  EXPECT_EQ(sub->Take()->state, State::kReady);
}

TEST_F(CacheTest, DeliversTheNewestOnlyAndNothingTwice) {
  PutReady(MakeEntry("a", {Uid(1)}));
  auto sub = Subscribe({Uid(1)});
  ASSERT_NE(sub->Take(), nullptr);
  for (int i = 0; i < 5; ++i) {
    CacheChange change;
    change.x509["a"] = MakeX509("renewed " + std::to_string(i));
    cache_->Apply(std::move(change));
  }
  EXPECT_EQ(sub->Take()->identities[0].x509->chain_der, "renewed 4");
  EXPECT_EQ(sub->Take(), nullptr);

  notified_ = 0;
  CacheChange same;  // same content, other objects
  same.put.push_back(MakeEntry("a", {Uid(1)}));
  same.x509["a"] = MakeX509("renewed 4");
  cache_->Apply(std::move(same));
  EXPECT_EQ(notified_, 0);
  EXPECT_EQ(sub->Take(), nullptr);
}

TEST_F(CacheTest, AChangeThatIsTakenBackBeforeItWasSeenIsNotDelivered) {
  PutReady(MakeEntry("a", {Uid(1)}));
  auto sub = Subscribe({Uid(1)});
  sub->Take();
  PutReady(MakeEntry("b", {Uid(1)}));
  Remove({"b"});
  EXPECT_EQ(sub->Take(), nullptr);
}

TEST_F(CacheTest, ASwapWithinOneApplyIsNeverSeenAsNoIdentity) {
  PutReady(MakeEntry("a", {Uid(1)}));
  auto sub = Subscribe({Uid(1)});
  sub->Take();
  CacheChange swap;
  swap.removed = {"a"};
  swap.put.push_back(MakeEntry("b", {Uid(1)}));
  cache_->Apply(std::move(swap));
  EXPECT_EQ(sub->Take()->state, State::kPending);
  Remove({"b"});
  EXPECT_EQ(sub->Take()->state, State::kNoIdentity);
}

TEST_F(CacheTest, AChangedEntryKeepsItsSvidUnlessItsIdChanged) {
  PutReady(MakeEntry("a", {Uid(1)}));
  Entry changed = MakeEntry("a", {Uid(1)});
  changed.dns_names = {"a.example.org"};
  CacheChange change;
  change.put.push_back(changed);
  cache_->Apply(std::move(change));
  EXPECT_EQ(cache_->Lookup({Uid(1)})->state, State::kReady);

  changed.spiffe_id = *SpiffeId::Parse("spiffe://example.org/other");
  CacheChange other;
  other.put.push_back(changed);
  cache_->Apply(std::move(other));
  EXPECT_EQ(cache_->Lookup({Uid(1)})->state, State::kPending);
}

TEST_F(CacheTest, TellsOnlyThoseWhomAnEntryConcerns) {
  cache_->Apply({});
  auto one = Subscribe({Uid(1), Uid(7)});
  int other_notified = 0;
  auto two = cache_->Subscribe({Uid(2), Uid(7)}, Interest::kX509, [&] { ++other_notified; });
  notified_ = other_notified = 0;
  PutReady(MakeEntry("a", {Uid(1), Uid(7)}));
  EXPECT_EQ(notified_, 1);
  EXPECT_EQ(other_notified, 0);
}

TEST_F(CacheTest, AMovedEntryTellsTheOldAndTheNewOwner) {
  PutReady(MakeEntry("a", {Uid(1)}));
  auto one = Subscribe({Uid(1)});
  auto two = Subscribe({Uid(2)});
  one->Take();
  two->Take();
  PutReady(MakeEntry("a", {Uid(2)}));
  EXPECT_EQ(one->Take()->state, State::kNoIdentity);
  EXPECT_EQ(two->Take()->state, State::kReady);
}

TEST_F(CacheTest, AnEntryThatEndsAfterAllTimeIsWaitedForOnce) {
  for (int64_t far : {int64_t{253'402'300'799}, INT64_MAX}) {
    Entry entry = MakeEntry("a", {Uid(1)});
    entry.expires_at = far;
    PutReady(entry);
    EXPECT_GT(cache_->DropExpired(), clock_.Now()) << far;
    EXPECT_EQ(cache_->Lookup({Uid(1)})->state, State::kReady) << far;
  }
}

TEST_F(CacheTest, WhoComesGetsNothingThatHasEndedThoughNobodyTookItOut) {
  Entry ending = MakeEntry("e", {Uid(1)});
  ending.expires_at = ToUnixSeconds(clock_.Now()) + 60;
  PutReady(ending);
  PutReady(MakeEntry("f", {Uid(2)}));
  CacheChange change;
  change.x509["f"] = MakeX509("short", clock_.Now() + std::chrono::seconds(60));
  cache_->Apply(std::move(change));
  EXPECT_EQ(cache_->Lookup({Uid(1)})->state, State::kReady);
  clock_.Advance(std::chrono::seconds(61));
  EXPECT_EQ(cache_->Lookup({Uid(1)})->state, State::kNoIdentity);
  EXPECT_EQ(Subscribe({Uid(2)})->Take()->state, State::kPending);
}

TEST_F(CacheTest, LeavesOutStoredAndExpiredEntries) {
  Entry stored = MakeEntry("s", {Uid(1)});
  stored.store_svid = true;
  PutReady(stored);
  EXPECT_EQ(cache_->Lookup({Uid(1)})->state, State::kNoIdentity);

  Entry ending = MakeEntry("e", {Uid(2)});
  ending.expires_at = ToUnixSeconds(clock_.Now()) + 60;
  PutReady(ending);
  auto sub = Subscribe({Uid(2)});
  EXPECT_EQ(sub->Take()->state, State::kReady);
  EXPECT_EQ(cache_->DropExpired(), FromUnixSeconds(ending.expires_at + 1));
  clock_.Advance(std::chrono::seconds(61));
  cache_->DropExpired();
  EXPECT_EQ(sub->Take()->state, State::kNoIdentity);
  clock_.JumpWallTime(-std::chrono::seconds(30));  // set back: the entry holds again
  cache_->DropExpired();
  EXPECT_EQ(sub->Take()->state, State::kPending);
  EXPECT_EQ(WantedIds(), (std::vector<std::string>{"e"}));
}

TEST_F(CacheTest, DropsAnX509SvidOnceItHasEnded) {
  Time end = clock_.Now() + std::chrono::seconds(10);
  CacheChange change;
  change.put.push_back(MakeEntry("a", {Uid(1)}));
  change.x509["a"] = MakeX509("short", end);
  cache_->Apply(std::move(change));
  auto sub = Subscribe({Uid(1)});
  EXPECT_EQ(sub->Take()->state, State::kReady);
  EXPECT_EQ(cache_->DropExpired(), end);
  EXPECT_EQ(sub->Take(), nullptr);
  clock_.Advance(std::chrono::seconds(10));
  EXPECT_EQ(cache_->DropExpired(), Time::max());
  EXPECT_EQ(sub->Take()->state, State::kPending);
}

TEST_F(CacheTest, KeepsHintsUnique) {
  auto with_hint = [](const std::string& id, int64_t created_at) {
    Entry entry = MakeEntry(id, {Uid(1)});
    entry.hint = "web";
    entry.created_at = created_at;
    return entry;
  };
  PutReady(MakeEntry("plain1", {Uid(1)}));
  PutReady(MakeEntry("plain2", {Uid(1)}));
  PutReady(with_hint("a", 5));
  PutReady(with_hint("b", 4));
  PutReady(with_hint("c", 4));
  auto update = cache_->Lookup({Uid(1)});
  ASSERT_EQ(update->identities.size(), 3u);
  EXPECT_EQ(update->identities[0].entry->id, "b");
  Remove({"b"});
  EXPECT_EQ(cache_->Lookup({Uid(1)})->identities[0].entry->id, "c");
}

TEST_F(CacheTest, ABundleChangeTellsEveryone) {
  PublicKey key = PrivateKey::Generate(KeyType::kEcP256)->Public();
  PublicKey other = PrivateKey::Generate(KeyType::kEcP256)->Public();
  CacheChange first;
  first.bundle = MakeBundle({key});
  cache_->Apply(std::move(first));
  auto sub = Subscribe({Uid(1)});
  EXPECT_EQ(sub->Take()->bundle->jwt.size(), 1u);

  auto renumbered = std::make_shared<Bundle>(*MakeBundle({key}));
  renumbered->sequence_number = 9;
  renumbered->jwt[0].tainted = true;
  CacheChange unseen;
  unseen.bundle = renumbered;
  cache_->Apply(std::move(unseen));
  EXPECT_EQ(sub->Take(), nullptr);
  EXPECT_EQ(cache_->CurrentBundle()->sequence_number, 9u);

  CacheChange more;
  more.bundle = MakeBundle({key, other});
  cache_->Apply(std::move(more));
  EXPECT_EQ(sub->Take()->bundle->jwt.size(), 2u);
}

TEST_F(CacheTest, ASubscriptionThatIsGoneIsNotCalled) {
  auto sub = Subscribe({Uid(1)});
  sub.reset();
  notified_ = 0;
  PutReady(MakeEntry("a", {Uid(1)}));
  EXPECT_EQ(notified_, 0);
}

TEST_F(CacheTest, HoldsJwtsByEntryAndAudienceWithinTheLimit) {
  Entry a = MakeEntry("a", {Uid(1)});
  Entry b = MakeEntry("b", {Uid(1)});
  PutReady(a);
  PutReady(b);
  Time end = clock_.Now() + std::chrono::minutes(5);
  auto jwt = [&](const std::string& token) { return HeldJwt{token, "k0", clock_.Now(), end}; };
  cache_->PutJwt(a, {"x"}, jwt("1"));
  cache_->PutJwt(a, {"x", "y"}, jwt("2"));
  cache_->PutJwt(b, {"x"}, jwt("3"));
  EXPECT_EQ(cache_->FindJwt(a, {"x"})->token, "1");
  cache_->PutJwt(b, {"z"}, jwt("4"));  // the fourth: {x, y} of a was used least recently
  EXPECT_FALSE(cache_->FindJwt(a, {"x", "y"}).has_value());
  EXPECT_EQ(cache_->FindJwt(a, {"x"})->token, "1");
  EXPECT_EQ(cache_->FindJwt(b, {"z"})->token, "4");

  Entry changed = a;
  changed.revision = 1;
  PutReady(changed);
  EXPECT_FALSE(cache_->FindJwt(changed, {"x"}).has_value());
  cache_->PutJwt(a, {"x"}, jwt("late"));  // made for the entry as it was
  EXPECT_FALSE(cache_->FindJwt(changed, {"x"}).has_value());
  Remove({"b"});
  EXPECT_FALSE(cache_->FindJwt(b, {"x"}).has_value());

  cache_->PutJwt(changed, {"x"}, jwt("5"));
  clock_.Advance(std::chrono::minutes(5));
  cache_->DropExpired();
  EXPECT_FALSE(cache_->FindJwt(changed, {"x"}).has_value());
}

TEST_F(CacheTest, DropsJwtsOfAuthoritiesThatAreTaintedOrGone) {
  const std::vector<PublicKey> keys = {PrivateKey::Generate(KeyType::kEcP256)->Public(),
                                       PrivateKey::Generate(KeyType::kEcP256)->Public()};
  auto apply = [&](std::shared_ptr<const Bundle> bundle) {
    CacheChange change;
    change.bundle = std::move(bundle);
    cache_->Apply(std::move(change));
  };
  Entry a = MakeEntry("a", {Uid(1)});
  PutReady(a);
  auto put = [&](const std::string& key_id) {
    cache_->PutJwt(a, {key_id}, HeldJwt{"t", key_id, clock_.Now(), Time::max()});
  };
  auto holds = [&](const std::string& key_id) { return cache_->FindJwt(a, {key_id}).has_value(); };

  put("k0");
  put("k1");  // signed by an authority that the bundle is about to have
  apply(MakeBundle(keys));
  EXPECT_TRUE(holds("k0") && holds("k1"));

  auto tainted = std::make_shared<Bundle>(*MakeBundle(keys));
  tainted->jwt[0].tainted = true;
  apply(tainted);
  EXPECT_FALSE(holds("k0"));
  EXPECT_TRUE(holds("k1"));
  put("k0");
  EXPECT_FALSE(holds("k0"));

  apply(MakeBundle({keys[0]}));
  EXPECT_FALSE(holds("k1"));
}

TEST_F(CacheTest, ReadersComeAndGoWhileTheWriterWrites) {
  constexpr int kReaders = 4;
  constexpr int kRounds = 200;
  PutReady(MakeEntry("e0", {Uid(1)}));
  std::atomic<int> seen = 0;
  std::vector<Thread> readers;
  for (int i = 0; i < kReaders; ++i) {
    readers.emplace_back("reader", [&](std::stop_token) {
      for (int round = 0; round < kRounds; ++round) {
        std::atomic<int> notices = 0;
        auto sub = cache_->Subscribe({Uid(1), Uid(2)}, Interest::kX509, [&] { ++notices; });
        EXPECT_EQ(sub->Take()->state, State::kReady);
        sub->Take();
        if (cache_->Lookup({Uid(1)})->state == State::kReady) ++seen;
      }
    });
  }
  for (int round = 0; round < kRounds; ++round) {
    CacheChange swap;
    std::string next = "e" + std::to_string(round + 1);
    swap.removed = {"e" + std::to_string(round)};
    swap.put.push_back(MakeEntry(next, {Uid(1)}));
    swap.x509[next] = MakeX509(next);
    cache_->Apply(std::move(swap));
    cache_->DropExpired();
  }
  for (Thread& reader : readers) reader.Join();
  EXPECT_EQ(seen.load(), kReaders * kRounds);
}

// The index and its bookkeeping against the definition, over random histories.
class Model {
 public:
  std::map<std::string, Entry> entries;
  std::map<std::string, std::string> svids;

  std::vector<std::pair<std::string, std::string>> Answer(const Selectors& selectors) const {
    std::vector<std::pair<std::string, std::string>> answer;
    for (const auto& [id, entry] : entries) {
      if (entry.selectors.empty() || !selectors.ContainsAll(entry.selectors)) continue;
      auto svid = svids.find(id);
      answer.emplace_back(id, svid == svids.end() ? "" : svid->second);
    }
    return answer;
  }
};

std::vector<std::pair<std::string, std::string>> Seen(const WorkloadUpdate& update) {
  std::vector<std::pair<std::string, std::string>> seen;
  for (const Identity& identity : update.identities) {
    seen.emplace_back(identity.entry->id, identity.x509 ? identity.x509->chain_der : "");
  }
  return seen;
}

class CacheProperty : public testing::TestWithParam<int> {};

TEST_P(CacheProperty, AnswersAsTheDefinitionSays) {
  SeededRandom random(GetParam());
  auto pick = [&](int n) { return static_cast<int>(random.Uint64() % n); };
  auto pick_selectors = [&](int size_max) {
    Selectors selectors;
    for (int i = pick(size_max + 1); i > 0; --i) selectors.Insert(Uid(pick(6)));
    return selectors;
  };
  FakeClock clock;
  auto cache = Cache::Make(&clock, {});
  cache->Apply({});
  Model model;
  struct Subscriber {
    Selectors selectors;
    std::unique_ptr<Subscription> subscription;
    std::shared_ptr<const WorkloadUpdate> last;
    bool notified = false;
  };
  std::vector<std::unique_ptr<Subscriber>> subscribers;
  for (int step = 0; step < 300; ++step) {
    CacheChange change;
    std::set<std::string> touched;
    for (int i = pick(4); i > 0; --i) {
      std::string id = "e" + std::to_string(pick(12));
      if (!touched.insert(id).second) continue;
      if (pick(3) == 0) {
        change.removed.push_back(id);
        model.entries.erase(id);
        model.svids.erase(id);
        continue;
      }
      Entry entry = MakeEntry(id, pick_selectors(3));
      entry.revision = pick(3);
      model.entries.insert_or_assign(id, entry);
      change.put.push_back(entry);
      if (pick(2) == 0) {
        model.svids[id] = "svid " + std::to_string(pick(4));
        change.x509[id] = MakeX509(model.svids[id]);
      }
    }
    cache->Apply(std::move(change));

    if (pick(4) == 0 && !subscribers.empty()) {
      subscribers.erase(subscribers.begin() + pick(subscribers.size()));
    }
    if (pick(3) == 0) {
      auto added = std::make_unique<Subscriber>();
      added->selectors = pick_selectors(5);
      Subscriber* raw = added.get();
      added->subscription = cache->Subscribe(added->selectors, Interest::kX509,
                                             [raw] { raw->notified = true; });
      subscribers.push_back(std::move(added));
    }
    for (auto& subscriber : subscribers) {
      auto expected = model.Answer(subscriber->selectors);
      EXPECT_EQ(Seen(*cache->Lookup(subscriber->selectors)), expected);
      if (pick(2) == 0) continue;  // slow: takes another time
      auto update = subscriber->subscription->Take();
      if (update) {
        EXPECT_TRUE(!subscriber->last || subscriber->notified);
        EXPECT_TRUE(!subscriber->last || Seen(*subscriber->last) != Seen(*update));
        subscriber->last = update;
      }
      subscriber->notified = false;
      ASSERT_TRUE(subscriber->last);
      EXPECT_EQ(Seen(*subscriber->last), expected) << "seed " << GetParam() << " step " << step;
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Seeds, CacheProperty, testing::Range(1, 21));

}  // namespace
}  // namespace writ
