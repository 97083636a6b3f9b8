// SPDX-License-Identifier: Apache-2.0
#include "server/entry/agent_feed.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "server/entry/random_changes_fixture.h"
#include "server/entry/registry.h"
#include "test/fake/fake_store.h"

namespace writ {
namespace {

const TrustDomain kDomain = *TrustDomain::Parse("example.org");
const Time kNow = FromUnixSeconds(1'790'000'000);
constexpr std::string_view kAgent = "/spire/agent/t/1";
constexpr std::string_view kServer = "/spire/server";
using Ids = std::vector<std::string>;

SpiffeId Id(std::string_view path) { return *SpiffeId::FromPath(kDomain, path); }

class AgentFeedTest : public testing::Test {
 protected:
  AgentFeedTest() { registry_ = Registry::Load(store_, kDomain).value(); }

  void Add(std::string id, std::string_view path, std::string_view parent,
           Selectors selectors = {{"x", "1"}}, int64_t expires_at = 0) {
    Entry entry{.id = std::move(id),
                .spiffe_id = Id(path),
                .parent_id = Id(parent),
                .selectors = std::move(selectors),
                .expires_at = expires_at};
    ASSERT_TRUE(store_.entries().Create({entry}, kNow, nullptr)->at(0).status.ok());
  }
  void Edit(const std::string& id, const std::function<void(Entry&)>& change) {
    auto edit = [&](Entry stored) -> Result<Entry> {
      change(stored);
      return stored;
    };
    ASSERT_TRUE(store_.entries().Edit({{id, edit}})->at(0).status.ok());
  }
  void Delete(const std::string& id) {
    ASSERT_TRUE(store_.entries().Delete(std::vector{id})->at(0).status.ok());
  }
  void Attest(std::string_view path, Selectors selectors) {
    Agent agent{.id = Id(path), .attestation_type = "t", .selectors = std::move(selectors)};
    ASSERT_TRUE(store_.agents().CommitAttestation(agent, "", kNow).ok());
  }
  std::unique_ptr<AgentFeed> Follow(uint64_t after, std::string_view agent = kAgent) {
    return registry_->Follow(Id(agent), after, [this] { ++notified_; }).value();
  }
  // In step from here on.
  std::unique_ptr<AgentFeed> FollowNow(std::string_view agent = kAgent) {
    auto feed = Follow(*store_.changes().LastSequence(), agent);
    (void)feed->Take(kNow, 100);
    return feed;
  }
  static Ids Put(const Told& told) {
    std::set<std::string> ids;
    for (const Entry& entry : told.put) ids.insert(entry.id);
    return {ids.begin(), ids.end()};
  }
  static Ids Gone(const Told& told) {
    std::set<std::string> ids(told.gone.begin(), told.gone.end());
    return {ids.begin(), ids.end()};
  }

  FakeStore store_;
  std::unique_ptr<Registry> registry_;
  int notified_ = 0;
};

TEST_F(AgentFeedTest, WithoutANumberTheFirstWordIsResync) {
  Add("1", "/a", kAgent);
  auto feed = Follow(0);
  Told told = feed->Take(kNow, 10);
  EXPECT_TRUE(told.resync);
  EXPECT_TRUE(told.put.empty());
  EXPECT_EQ(told.sequence, 1u);
  told = feed->Take(kNow, 10);
  EXPECT_FALSE(told.resync);
  EXPECT_EQ(told.sequence, 1u);
}

TEST_F(AgentFeedTest, TellsWhatIsCreatedChangedAndDeleted) {
  auto feed = FollowNow();
  Add("1", "/a", kAgent);
  EXPECT_EQ(notified_, 1);
  Told told = feed->Take(kNow, 10);
  ASSERT_EQ(told.put.size(), 1u);
  EXPECT_EQ(told.put[0], *store_.entries().Get("1"));
  EXPECT_EQ(told.sequence, 1u);
  Edit("1", [](Entry& entry) { entry.hint = "h"; });
  told = feed->Take(kNow, 10);
  ASSERT_EQ(told.put.size(), 1u);
  EXPECT_EQ(told.put[0].revision, 1);
  Delete("1");
  told = feed->Take(kNow, 10);
  EXPECT_EQ(Gone(told), Ids{"1"});
  EXPECT_EQ(told.sequence, 3u);
  EXPECT_EQ(notified_, 3);
}

TEST_F(AgentFeedTest, AgentThatAChangeDoesNotConcernIsNotWokenAndMovesOn) {
  auto feed = FollowNow();
  Add("1", "/a", "/spire/agent/t/2");
  EXPECT_EQ(notified_, 0);
  Told told = feed->Take(kNow, 10);
  EXPECT_TRUE(told.put.empty());
  EXPECT_TRUE(told.gone.empty());
  EXPECT_EQ(told.sequence, 1u);
}

TEST_F(AgentFeedTest, WhatHangsBelowComesAndGoesWithTheEntryAboveIt) {
  Add("b", "/b", "/a");
  Add("c", "/c", "/b");
  auto feed = FollowNow();
  auto other = FollowNow("/spire/agent/t/2");
  Add("a", "/a", kAgent);
  EXPECT_EQ(Put(feed->Take(kNow, 10)), (Ids{"a", "b", "c"}));
  Edit("a", [](Entry& entry) { entry.hint = "h"; });
  EXPECT_EQ(Put(feed->Take(kNow, 10)), Ids{"a"});  // nothing else is sent again
  Edit("a", [](Entry& entry) { entry.parent_id = Id("/spire/agent/t/2"); });
  EXPECT_EQ(Gone(feed->Take(kNow, 10)), (Ids{"a", "b", "c"}));
  EXPECT_EQ(Put(other->Take(kNow, 10)), (Ids{"a", "b", "c"}));
  Delete("b");
  EXPECT_EQ(Gone(other->Take(kNow, 10)), (Ids{"b", "c"}));
}

TEST_F(AgentFeedTest, AliasTellsThoseWhoseSelectorsMatch) {
  Attest(kAgent, {{"n", "1"}, {"n", "2"}});
  Attest("/spire/agent/t/2", {{"n", "1"}});
  Add("1", "/a", "/cluster");
  auto feed = FollowNow();
  auto other = FollowNow("/spire/agent/t/2");
  Add("alias", "/cluster", kServer, {{"n", "1"}, {"n", "2"}});
  EXPECT_EQ(Put(feed->Take(kNow, 10)), Ids{"1"});
  EXPECT_TRUE(other->Take(kNow, 10).put.empty());
  Edit("alias", [](Entry& entry) { entry.selectors = {{"n", "1"}}; });
  EXPECT_EQ(Put(other->Take(kNow, 10)), Ids{"1"});
  Add("2", "/b", "/cluster");
  EXPECT_EQ(Put(feed->Take(kNow, 10)), (Ids{"1", "2"}));
  Delete("alias");
  EXPECT_EQ(Gone(feed->Take(kNow, 10)), (Ids{"1", "2", "alias"}));
}

TEST_F(AgentFeedTest, OtherSelectorsOfTheAgentAreAResyncOthersChangesNot) {
  Attest(kAgent, {{"n", "1"}});
  auto feed = FollowNow();
  Attest(kAgent, {{"n", "1"}});
  EXPECT_FALSE(feed->Take(kNow, 10).resync);
  EXPECT_EQ(notified_, 1);  // it may be banned now: its stream looks
  Attest(kAgent, {{"n", "2"}});
  EXPECT_TRUE(feed->Take(kNow, 10).resync);
  Add("alias", "/cluster", kServer, {{"n", "2"}});
  Add("1", "/a", "/cluster");
  EXPECT_EQ(Put(feed->Take(kNow, 10)), Ids{"1"});
}

TEST_F(AgentFeedTest, EndOfAnAliasIsAResyncWhenItComes) {
  Attest(kAgent, {{"n", "1"}});
  Add("alias", "/cluster", kServer, {{"n", "1"}}, ToUnixSeconds(kNow) + 10);
  auto feed = FollowNow();
  Told told = feed->Take(kNow, 10);
  EXPECT_EQ(told.again_at, kNow + std::chrono::seconds(11));
  EXPECT_FALSE(feed->Take(kNow + std::chrono::seconds(10), 10).resync);
  told = feed->Take(kNow + std::chrono::seconds(11), 10);
  EXPECT_TRUE(told.resync);
  EXPECT_EQ(told.again_at, Time::max());
  EXPECT_FALSE(feed->Take(kNow + std::chrono::seconds(11), 10).resync);
  // It may have ended while nobody was told.
  EXPECT_TRUE(Follow(told.sequence)->Take(kNow + std::chrono::seconds(12), 10).resync);
}

TEST_F(AgentFeedTest, BundleIsToldToAll) {
  auto feed = FollowNow();
  auto grow = [](Bundle& bundle) {
    bundle.refresh_hint_seconds = 7;
    return OkStatus();
  };
  ASSERT_TRUE(store_.bundles().Edit(kDomain, grow).ok());
  EXPECT_EQ(notified_, 1);
  EXPECT_EQ(feed->Take(kNow, 10).bundle_change, 1u);
  ASSERT_TRUE(store_.bundles().Edit(*TrustDomain::Parse("other.test"), grow).ok());
  EXPECT_EQ(feed->Take(kNow, 10).bundle_change, 0u);
  EXPECT_EQ(Follow(0)->Take(kNow, 10).bundle_change, 0u);
}

TEST_F(AgentFeedTest, GoesOnFromANumberAfterALossAndAfterARestart) {
  Add("1", "/a", kAgent);
  Add("2", "/b", "/a");
  uint64_t position = FollowNow()->Take(kNow, 10).sequence;
  Add("3", "/c", kAgent);
  Add("4", "/d", "/spire/agent/t/2");
  Edit("1", [](Entry& entry) { entry.spiffe_id = Id("/z"); });
  registry_.reset();
  registry_ = Registry::Load(store_, kDomain).value();
  auto feed = Follow(position);
  Told told = feed->Take(kNow, 10);
  EXPECT_FALSE(told.resync);
  EXPECT_EQ(Put(told), (Ids{"1", "3"}));
  EXPECT_EQ(Gone(told), (Ids{"2", "4"}));  // 4 was never there: whose it was is not known
  EXPECT_EQ(told.sequence, *store_.changes().LastSequence());
  EXPECT_FALSE(told.more);
}

TEST_F(AgentFeedTest, NumberThatIsNotKnownIsAResync) {
  Add("1", "/a", kAgent);
  EXPECT_TRUE(Follow(2)->Take(kNow, 10).resync);  // of another store, or one put back
  for (size_t i = 0; i <= kFeedMissedMax; ++i) {
    Add("e" + std::to_string(i), "/e", "/p" + std::to_string(i));
  }
  EXPECT_TRUE(Follow(1)->Take(kNow, 10).resync);
  EXPECT_FALSE(Follow(2)->Take(kNow, 10).resync);
}

TEST_F(AgentFeedTest, OneThatDoesNotTakeHoldsABoundedQueue) {
  auto feed = FollowNow();
  for (size_t i = 0; i <= kFeedQueueMax; ++i) {
    Add("e" + std::to_string(i), "/e" + std::to_string(i), kAgent);
  }
  Told told = feed->Take(kNow, 10);
  EXPECT_TRUE(told.resync);
  EXPECT_EQ(told.sequence, kFeedQueueMax + 1);
  EXPECT_TRUE(feed->Take(kNow, 10).put.empty());
}

TEST_F(AgentFeedTest, ChangeThatReachesTooFarIsAResync) {
  for (size_t i = 0; i <= kFeedReachMax; ++i) {
    Add("e" + std::to_string(i), "/e" + std::to_string(i), "/top");
  }
  auto feed = FollowNow();
  Add("top", "/top", kAgent);
  EXPECT_TRUE(feed->Take(kNow, 10).resync);
}

TEST_F(AgentFeedTest, TakesInPortionsAndNamesTheNumberWithTheLast) {
  for (int i = 0; i < 5; ++i) Add("f" + std::to_string(i), "/f" + std::to_string(i), "/top");
  auto feed = FollowNow();
  Add("top", "/top", kAgent);
  std::set<std::string> put;
  Told told;
  do {
    told = feed->Take(kNow, 2);
    EXPECT_LE(told.put.size(), 2u);
    EXPECT_EQ(told.sequence, told.more ? 5u : 6u);
    for (const Entry& entry : told.put) put.insert(entry.id);
  } while (told.more);
  EXPECT_EQ(put.size(), 6u);
}

TEST_F(AgentFeedTest, ChangeThatCouldNotBeReadIsAResyncOnceItCan) {
  Add("1", "/a", "/elsewhere");
  auto feed = FollowNow();
  store_.FailReads(Unavailable("disk"));
  Edit("1", [](Entry& entry) { entry.parent_id = Id(kAgent); });
  EXPECT_TRUE(feed->Take(kNow, 10).put.empty());
  store_.FailReads(OkStatus());
  EXPECT_TRUE(feed->Take(kNow, 10).resync);
  EXPECT_TRUE(registry_->AuthorizedEntry(Id(kAgent), "1", kNow));
}

TEST_F(AgentFeedTest, FeedsOfOneAgentAreFew) {
  std::vector<std::unique_ptr<AgentFeed>> feeds;
  for (size_t i = 0; i < kFeedsPerAgentMax; ++i) feeds.push_back(Follow(0));
  EXPECT_EQ(registry_->Follow(Id(kAgent), 0, [] {}).status().code(), Code::kResourceExhausted);
  feeds.pop_back();
  EXPECT_TRUE(registry_->Follow(Id(kAgent), 0, [] {}).ok());
}

// ---- an agent's view, held against what it is authorized for ------------------------------------

// An agent that follows, with streams that are lost, late or taken in portions.
class Follower {
 public:
  using View = std::map<std::string, Entry>;

  explicit Follower(SpiffeId agent) : agent_(std::move(agent)) {}

  void Lose() { feed_.reset(); }
  // True when there is more to take.
  bool Take(Registry& registry, Time now, size_t entries_max) {
    if (!feed_) feed_ = registry.Follow(agent_, position_, [] {}).value();
    Told told = feed_->Take(now, entries_max);
    EXPECT_GE(told.sequence, position_);
    position_ = told.sequence;
    if (told.resync) {
      ++resyncs_;
      view_ = Authorized(registry, now);
    }
    for (Entry& entry : told.put) view_.insert_or_assign(entry.id, std::move(entry));
    for (const std::string& id : told.gone) view_.erase(id);
    return told.more;
  }
  // An agent that holds an entry which has ended asks for everything.
  View ViewAt(Registry& registry, Time now) {
    for (const auto& [id, entry] : view_) {
      if (entry.ExpiredAt(now)) return view_ = Authorized(registry, now);
    }
    return view_;
  }
  View Authorized(const Registry& registry, Time now) const {
    View view;
    for (const EntryStamp& stamp : registry.Authorized(agent_, now)) {
      view.emplace(stamp.id, *registry.AuthorizedEntry(agent_, stamp.id, now));
    }
    return view;
  }
  int resyncs() const { return resyncs_; }

 private:
  const SpiffeId agent_;
  std::unique_ptr<AgentFeed> feed_;
  View view_;
  uint64_t position_ = 0;
  int resyncs_ = 0;
};

class FeedModel : RandomChanges {
 public:
  explicit FeedModel(uint64_t seed) : RandomChanges(seed) {}

  void Run() {
    constexpr int kSteps = 4000;
    auto registry = Registry::Load(store, kDomain).value();
    std::vector<Follower> followers;
    for (int i = 0; i < kAgents; ++i) {
      followers.emplace_back(Id("/spire/agent/t/" + std::to_string(i)));
    }
    Time now = FromUnixSeconds(kStart);
    for (int step = 0; step < kSteps && !testing::Test::HasFailure(); ++step) {
      Change();
      if (Pick(60) == 0) now += std::chrono::seconds(1);
      Follower& follower = followers[static_cast<size_t>(Pick(kAgents))];
      if (Pick(20) == 0) follower.Lose();
      if (Pick(3) == 0) follower.Take(*registry, now, static_cast<size_t>(1 + Pick(4)));
      if (Pick(4) == 0) {
        while (follower.Take(*registry, now, 3)) {
        }
        ASSERT_EQ(follower.ViewAt(*registry, now), follower.Authorized(*registry, now))
            << "step " << step;
      }
      if (Pick(300) == 0) {
        for (Follower& each : followers) each.Lose();
        registry.reset();
        registry = Registry::Load(store, kDomain).value();
      }
    }
    // Most of it went without fetching everything.
    for (const Follower& each : followers) EXPECT_LT(each.resyncs(), kSteps / 5);
    followers.clear();
  }
};

TEST(AgentFeedModelTest, ViewEqualsTheAuthorizedEntriesAfterAnyChanges) {
  for (uint64_t seed = 1; seed <= 3 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    FeedModel(seed).Run();
  }
}

}  // namespace
}  // namespace writ
