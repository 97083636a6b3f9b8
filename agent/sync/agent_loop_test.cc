// SPDX-License-Identifier: Apache-2.0
//
// The agent's whole life against a server in memory. Time leaps: each wait of the loop moves the
// clock to its end, and a test looks at the world there. So a week takes seconds, in one thread.
#include "agent/sync/agent_loop.h"

#include <gtest/gtest.h>

#include "core/base/file.h"
#include "core/base/mutex.h"
#include "test/fake/fake_clock.h"
#include "test/fake/fake_log.h"
#include "test/fake/fake_prover.h"
#include "test/fake/fake_server.h"
#include "test/support/paths.h"

namespace writ {
namespace {

using State = WorkloadUpdate::State;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

class LeapingClock final : public Clock {
 public:
  Time Now() const override { return time_.Now(); }
  MonoTime Monotonic() const override { return time_.Monotonic(); }
  WakeReason WaitUntil(MonoTime deadline, Wake& wake, std::stop_token stop) override {
    if (before_wait) before_wait();
    const bool notified =
        time_.WaitUntil(Monotonic(), wake, std::stop_token()) == WakeReason::kNotified;
    if (!notified && deadline > Monotonic()) time_.Advance(deadline - Monotonic());
    if (on_wait) on_wait();
    if (stop.stop_requested()) return WakeReason::kStopped;
    return notified ? WakeReason::kNotified : WakeReason::kTime;
  }
  using Clock::WaitUntil;
  void JumpWallTime(Duration by) { time_.JumpWallTime(by); }

  std::function<void()> before_wait;
  std::function<void()> on_wait;

 private:
  FakeClock time_;
};

class AgentLoopTest : public testing::Test {
 protected:
  AgentLoopTest() {
    server_.AddToken("t1");
    EXPECT_TRUE(WriteFileAtomic(dir_ / "bundle.pem", ToPem(server_.CurrentBundle()), 0644).ok());
    MakeLoop();
  }

  // A new process; the directory, the keys and the cache's subscribers' view start over or stay as
  // they would.
  void MakeLoop(Duration sync_interval = seconds(5), CacheLimits limits = {}) {
    loop_.reset();
    cache_ = Cache::Make(&clock_, limits);
    loop_ = AgentLoop::Make(AgentLoopOptions{
        .trust_domain = td_,
        .bootstrap = {.bundle_file = dir_ / "bundle.pem"},
        .data_dir = dir_.path(),
        .agent_version = "test",
        .sync_interval = sync_interval,
        .attestor_type = "join_token",
        .prover = &prover_,
        .keys = keys_.get(),
        .cache = cache_.get(),
        .clock = &clock_,
        .random = &random_,
        .log = &log_,
        .connect = [this](ServerApiOptions options) { return server_.Connect(std::move(options)); },
    });
  }

  void PutEntry(const std::string& id, int uid) {
    server_.PutEntry(Entry{.id = id,
                           .spiffe_id = *SpiffeId::Parse("spiffe://example.org/" + id),
                           .parent_id = *SpiffeId::Parse("spiffe://example.org/spire/agent/x"),
                           .selectors = Of(uid)});
  }
  static Selectors Of(int uid) { return {Selector{"unix", "uid:" + std::to_string(uid)}}; }
  std::shared_ptr<const WorkloadUpdate> Look(int uid) { return cache_->Lookup(Of(uid)); }

  // Runs until `life` is over, looking at each wait; the status that ended it.
  Status RunFor(Duration life, std::function<void()> look = nullptr) {
    std::stop_source stop;
    MonoTime end = clock_.Monotonic() + life;
    clock_.on_wait = [&] {
      if (look) look();
      if (clock_.Monotonic() >= end) stop.request_stop();
    };
    Status status = loop_->Run(stop.get_token());
    clock_.on_wait = nullptr;
    return status;
  }

  const TrustDomain td_ = *TrustDomain::Parse("example.org");
  TempDir dir_;
  LeapingClock clock_;
  SeededRandom random_{11};
  FakeLog log_;
  FakeServer server_{td_, &clock_, &random_};
  TokenProver prover_{"t1"};
  std::unique_ptr<KeyManager> keys_ = MakeMemoryKeys();
  std::shared_ptr<Cache> cache_;
  std::unique_ptr<AgentLoop> loop_;
};

TEST_F(AgentLoopTest, AttestsSyncsAndServes) {
  PutEntry("web", 1);
  EXPECT_EQ(loop_->Ready().code(), Code::kUnavailable);
  EXPECT_EQ(Look(1)->state, State::kNotSynced);
  ASSERT_TRUE(RunFor(seconds(1)).ok());
  EXPECT_TRUE(loop_->Ready().ok());
  auto update = Look(1);
  ASSERT_EQ(update->state, State::kReady);
  const HeldX509& held = *update->identities[0].x509;
  Result<std::vector<Certificate>> chain = Certificate::ChainFromDer(held.chain_der);
  ASSERT_TRUE(chain.ok());
  EXPECT_EQ(chain->front().uri_sans().front(), "spiffe://example.org/web");
  Result<PrivateKey> key = PrivateKey::FromPkcs8(held.key_pkcs8);
  ASSERT_TRUE(key.ok());
  EXPECT_EQ(key->Public(), chain->front().public_key());
  EXPECT_EQ(update->bundle->x509.size(), 1u);
  EXPECT_EQ(Look(2)->state, State::kNoIdentity);
  EXPECT_EQ(server_.Calls("PostStatus"), 1);
}

TEST_F(AgentLoopTest, AWeekOfRotationsNeverHoldsAnExpiredSvid) {
  for (int i = 0; i < 4; ++i) PutEntry("w" + std::to_string(i), i);
  MakeLoop(minutes(1));
  ASSERT_TRUE(RunFor(seconds(1)).ok());
  int looks = 0;
  auto look = [&] {
    ++looks;
    for (int i = 0; i < 4; ++i) {
      auto update = Look(i);
      ASSERT_EQ(update->state, State::kReady) << FormatTime(clock_.Now());
      ASSERT_GT(update->identities[0].x509->not_after, clock_.Now());
    }
    // What happens in a week.
    if (looks % 40 == 0) server_.Set([](auto& knobs) { knobs.lose_replies = 2; });
    if (looks % 1440 == 700) server_.RotateAuthority();
    if (looks % 1440 == 800) server_.TaintOldAuthorities();
    if (looks % 1440 == 900) server_.DropOldAuthorities();
    if (looks % 300 == 0) PutEntry("w1", 1);
  };
  Status status = RunFor(hours(7 * 24), look);
  ASSERT_TRUE(status.ok()) << status.ToString();
  EXPECT_GT(looks, 7 * 24 * 60);
  // Four SVIDs of an hour, renewed about every half hour.
  int issued = server_.Calls("NewX509Svids");
  EXPECT_GT(issued, 7 * 24 * 2);
  EXPECT_LT(issued, 7 * 24 * 2 * 4 * 2);
  EXPECT_EQ(server_.Calls("Attest"), 1);
  EXPECT_EQ(keys_->List()->size(), 1u);
}

TEST_F(AgentLoopTest, RotatesShortLivedSvidsBetweenSyncs) {
  server_.Set([](auto& knobs) { knobs.x509_ttl = seconds(20); });
  PutEntry("web", 1);
  MakeLoop(minutes(10));
  ASSERT_TRUE(RunFor(seconds(1)).ok());
  ASSERT_TRUE(RunFor(minutes(5), [&] {
                ASSERT_EQ(Look(1)->state, State::kReady);
                ASSERT_GT(Look(1)->identities[0].x509->not_after, clock_.Now());
              }).ok());
}

TEST_F(AgentLoopTest, ServesOnWhileTheServerIsAwayAndDropsWhatHasEnded) {
  PutEntry("web", 1);
  ASSERT_TRUE(RunFor(seconds(1)).ok());
  Time end = Look(1)->identities[0].x509->not_after;
  auto stream = cache_->Subscribe(Of(1), Interest::kX509, [] {});
  EXPECT_EQ(stream->Take()->state, State::kReady);
  server_.Set([](auto& knobs) { knobs.away = true; });
  bool ended = false;
  ASSERT_TRUE(RunFor(minutes(59), [&] {
                EXPECT_EQ(Look(1)->state, State::kReady);
                EXPECT_TRUE(loop_->Ready().ok());
              }).ok());
  prover_.token = "t2";
  server_.AddToken("t2");
  ASSERT_TRUE(RunFor(minutes(2), [&] {
                // Not a moment later than its end.
                if (clock_.Now() >= end && !ended) {
                  ended = true;
                  EXPECT_EQ(clock_.Now(), end);
                }
              }).ok());
  EXPECT_TRUE(ended);
  EXPECT_EQ(stream->Take()->state, State::kPending);
  server_.Set([](auto& knobs) { knobs.away = false; });
  ASSERT_TRUE(RunFor(minutes(1)).ok());
  EXPECT_EQ(stream->Take()->state, State::kReady);
}

TEST_F(AgentLoopTest, AServerThatIsAwayFromTheStartIsWaitedFor) {
  server_.Set([](auto& knobs) { knobs.away = true; });
  int waits = 0;
  Duration longest{};
  MonoTime last = clock_.Monotonic();
  ASSERT_TRUE(RunFor(hours(1), [&] {
                ++waits;
                longest = std::max<Duration>(longest, clock_.Monotonic() - last);
                last = clock_.Monotonic();
              }).ok());
  EXPECT_GT(waits, 3600 / 45);
  EXPECT_LT(waits, 3600 / 15);
  EXPECT_LE(longest, milliseconds(37'500));
  EXPECT_EQ(loop_->Ready().code(), Code::kUnavailable);
  server_.Set([](auto& knobs) { knobs.away = false; });
  ASSERT_TRUE(RunFor(minutes(1)).ok());
  EXPECT_TRUE(loop_->Ready().ok());
}

TEST_F(AgentLoopTest, ARestartGoesOnWithoutAnotherToken) {
  PutEntry("web", 1);
  ASSERT_TRUE(RunFor(minutes(40)).ok());
  MakeLoop();
  ASSERT_TRUE(RunFor(seconds(1)).ok());
  EXPECT_EQ(Look(1)->state, State::kReady);
  EXPECT_EQ(server_.Calls("Attest"), 1);
  EXPECT_EQ(server_.Calls("PostStatus"), 2);
}

TEST_F(AgentLoopTest, ABannedAgentStopsAndSaysWhy) {
  ASSERT_TRUE(RunFor(seconds(1)).ok());
  server_.Ban("spiffe://example.org/spire/agent/join_token/t1");
  Status status = RunFor(minutes(5));
  EXPECT_EQ(status.code(), Code::kPermissionDenied);
  EXPECT_NE(status.message().find("banned"), std::string::npos);
}

TEST_F(AgentLoopTest, AnEvictedJoinTokenAgentStopsAndAsksForAToken) {
  ASSERT_TRUE(RunFor(seconds(1)).ok());
  server_.DeleteAgent("spiffe://example.org/spire/agent/join_token/t1");
  Status status = RunFor(minutes(5));
  EXPECT_NE(status.message().find("writ token create"), std::string::npos) << status.ToString();
}

TEST_F(AgentLoopTest, AnEvictedAgentThatMayReattestComesBack) {
  server_.Set([](auto& knobs) { knobs.reattestable = true; });
  PutEntry("web", 1);
  ASSERT_TRUE(RunFor(seconds(1)).ok());
  server_.DeleteAgent("spiffe://example.org/spire/agent/join_token/t1");
  ASSERT_TRUE(RunFor(minutes(5), [&] { EXPECT_EQ(Look(1)->state, State::kReady); }).ok());
  EXPECT_EQ(server_.Calls("Attest"), 2);
}

TEST_F(AgentLoopTest, ASwapWithinOneSyncNeverEndsAStream) {
  PutEntry("old", 1);
  ASSERT_TRUE(RunFor(seconds(1)).ok());
  auto stream = cache_->Subscribe(Of(1), Interest::kX509, [] {});
  stream->Take();
  server_.RemoveEntry("old");
  PutEntry("new", 1);
  ASSERT_TRUE(RunFor(seconds(11)).ok());
  auto update = stream->Take();
  ASSERT_EQ(update->state, State::kReady);
  EXPECT_EQ(update->identities[0].entry->id, "new");

  // Also when the new one's SVID cannot be had at once.
  server_.Set([](auto& knobs) { knobs.refuse["NewX509Svids"] = Internal("broken"); });
  server_.RemoveEntry("new");
  PutEntry("newer", 1);
  ASSERT_TRUE(RunFor(seconds(11)).ok());
  EXPECT_EQ(stream->Take()->state, State::kPending);
  server_.Set([](auto& knobs) { knobs.refuse.clear(); });
  ASSERT_TRUE(RunFor(seconds(40)).ok());
  EXPECT_EQ(stream->Take()->state, State::kReady);
}

TEST_F(AgentLoopTest, AnUpdatedEntryKeepsItsSvidUntilTheNewOneIsHere) {
  PutEntry("web", 1);
  ASSERT_TRUE(RunFor(seconds(1)).ok());
  std::string before = Look(1)->identities[0].x509->chain_der;
  server_.Set([](auto& knobs) { knobs.refuse["NewX509Svids"] = Internal("broken"); });
  PutEntry("web", 1);
  ASSERT_TRUE(RunFor(seconds(11)).ok());
  EXPECT_EQ(Look(1)->identities[0].x509->chain_der, before);
  server_.Set([](auto& knobs) { knobs.refuse.clear(); });
  ASSERT_TRUE(RunFor(seconds(60)).ok());
  EXPECT_NE(Look(1)->identities[0].x509->chain_der, before);
}

TEST_F(AgentLoopTest, OneRefusedEntryDoesNotHoldUpTheOthers) {
  server_.Set([](auto& knobs) { knobs.refuse_entries = {"bad"}; });
  PutEntry("bad", 1);
  PutEntry("good", 2);
  ASSERT_TRUE(RunFor(minutes(1)).ok());
  EXPECT_EQ(Look(1)->state, State::kPending);
  EXPECT_EQ(Look(2)->state, State::kReady);
  EXPECT_EQ(log_.Count("WARN No X.509-SVID for an entry"), 1);
  server_.Set([](auto& knobs) { knobs.refuse_entries.clear(); });
  ASSERT_TRUE(RunFor(seconds(11)).ok());
  EXPECT_EQ(Look(1)->state, State::kReady);
}

TEST_F(AgentLoopTest, WhatTheServerRefusesToRenewIsAskedForAtThePaceOfSyncs) {
  server_.Set([](auto& knobs) { knobs.notices = true; });
  MakeLoop(seconds(10));
  PutEntry("bad", 1);
  PutEntry("good", 2);
  ASSERT_TRUE(RunFor(minutes(1)).ok());
  server_.Set([](auto& knobs) { knobs.refuse_entries = {"bad"}; });
  const std::string good_before = Look(2)->identities[0].x509->chain_der;
  ASSERT_TRUE(RunFor(minutes(40)).ok());  // past the half of an hour at which both are due
  const int before = server_.Calls("NewX509Svids");
  ASSERT_TRUE(RunFor(minutes(1)).ok());
  const int calls = server_.Calls("NewX509Svids") - before;
  EXPECT_TRUE(calls >= 4 && calls <= 7) << calls;
  EXPECT_NE(Look(2)->identities[0].x509->chain_der, good_before);
  server_.Set([](auto& knobs) { knobs.refuse_entries.clear(); });
  const std::string bad_before = Look(1)->identities[0].x509->chain_der;
  ASSERT_TRUE(RunFor(seconds(11)).ok());
  EXPECT_NE(Look(1)->identities[0].x509->chain_der, bad_before);
}

TEST_F(AgentLoopTest, AsksForNoMoreThanABatchAtATime) {
  MakeLoop(seconds(5), {.x509_max = 2000});
  for (int i = 0; i < 1200; ++i) PutEntry("e" + std::to_string(i), i);
  ASSERT_TRUE(RunFor(seconds(1)).ok());
  EXPECT_EQ(server_.largest_batch(), 500u);
  EXPECT_EQ(server_.Calls("NewX509Svids"), 3);
  for (int i = 0; i < 1200; ++i) EXPECT_EQ(Look(i)->state, State::kReady);
}

TEST_F(AgentLoopTest, AsksForFewerWhereTheServerTakesNoMore) {
  MakeLoop(seconds(5), {.x509_max = 2000});
  server_.Set([](auto& knobs) { knobs.batch_max = 70; });
  std::vector<std::unique_ptr<Subscription>> streams;
  for (int i = 0; i < 600; ++i) PutEntry("e" + std::to_string(i), i);
  for (int i = 0; i < 300; ++i) streams.push_back(cache_->Subscribe(Of(i), Interest::kX509, [] {}));
  ASSERT_TRUE(RunFor(seconds(1)).ok());
  EXPECT_EQ(log_.Count("ERROR The agent is not in step with the server; it tries again"), 0);
  EXPECT_LE(server_.largest_batch(), 70u);
  EXPECT_LE(server_.Calls("NewX509Svids"), 25);
  for (int i = 0; i < 600; ++i) EXPECT_EQ(Look(i)->state, State::kReady) << i;
  server_.Set([](auto& knobs) { knobs.batch_max = 500; });
  for (int i = 600; i < 1600; ++i) PutEntry("e" + std::to_string(i), i);
  ASSERT_TRUE(RunFor(seconds(30)).ok());
  for (int i = 1600; i < 2100; ++i) PutEntry("e" + std::to_string(i), i);
  ASSERT_TRUE(RunFor(seconds(30)).ok());
  EXPECT_GT(server_.largest_batch(), 100u);
}

TEST_F(AgentLoopTest, WhatIsBeyondTheLimitIsFetchedBetweenTwoSyncsWhenASubscriberComes) {
  MakeLoop(minutes(10), {.x509_max = 0});
  PutEntry("web", 1);
  std::unique_ptr<Subscription> stream;
  MonoTime synced_at{};
  clock_.before_wait = [&] {
    if (stream || !loop_->Ready().ok()) return;
    synced_at = clock_.Monotonic();
    stream = cache_->Subscribe(Of(1), Interest::kX509, [] {});
  };
  int looks = 0;
  int calls_before = -1;
  State state = State::kNotSynced;
  ASSERT_TRUE(RunFor(seconds(1), [&] {
                if (!stream) return;
                if (++looks == 1) calls_before = server_.Calls("NewX509Svids");
                if (looks == 2) state = Look(1)->state;
              }).ok());
  EXPECT_EQ(calls_before, 0);
  EXPECT_EQ(state, State::kReady);
  EXPECT_EQ(server_.Calls("SyncEntries"), 1);
  EXPECT_EQ(server_.Calls("NewX509Svids"), 1);
  EXPECT_EQ(clock_.Monotonic(), synced_at + minutes(10));
}

TEST_F(AgentLoopTest, SubscribersCannotMakeTheServerRefuseAgainAndAgain) {
  MakeLoop(minutes(10), {.x509_max = 0});
  server_.Set([](auto& knobs) { knobs.refuse_entries = {"bad"}; });
  PutEntry("bad", 1);
  std::unique_ptr<Subscription> stream;
  int waits = 0;
  clock_.before_wait = [&] {
    if (!loop_->Ready().ok() || ++waits >= 20) return;
    stream = cache_->Subscribe(Of(1), Interest::kX509, [] {});
  };
  ASSERT_TRUE(RunFor(seconds(1)).ok());
  EXPECT_EQ(server_.Calls("SyncEntries"), 1);
  EXPECT_EQ(server_.Calls("NewX509Svids"), 1);
}

TEST_F(AgentLoopTest, ATaintedAuthoritysSvidsAreRenewedAtOnceAndOnce) {
  PutEntry("web", 1);
  ASSERT_TRUE(RunFor(seconds(1)).ok());
  const std::shared_ptr<const HeldX509> before = Look(1)->identities[0].x509;
  server_.RotateAuthority();
  server_.TaintOldAuthorities();
  ASSERT_TRUE(RunFor(minutes(2)).ok());
  const std::set<std::string> tainted = TaintedKeyIds(*cache_->CurrentBundle());
  EXPECT_TRUE(RestsOn(*before, tainted));
  EXPECT_FALSE(RestsOn(*Look(1)->identities[0].x509, tainted));
  EXPECT_EQ(server_.Calls("NewX509Svids"), 2);
  EXPECT_EQ(server_.Calls("Renew"), 1);
}

TEST_F(AgentLoopTest, WhatRestsOnATaintedRootBelowAnIntermediateIsRenewedAtOnceAndOnce) {
  server_.Set([](FakeServer::Knobs& knobs) { knobs.intermediate = true; });
  PutEntry("web", 1);
  ASSERT_TRUE(RunFor(seconds(1)).ok());
  server_.RotateAuthority();
  ASSERT_TRUE(RunFor(minutes(2)).ok());
  EXPECT_EQ(server_.Calls("NewX509Svids"), 1);
  EXPECT_EQ(server_.Calls("Renew"), 0);
  server_.TaintOldAuthorities();
  ASSERT_TRUE(RunFor(minutes(2)).ok());
  EXPECT_EQ(server_.Calls("NewX509Svids"), 2);
  EXPECT_EQ(server_.Calls("Renew"), 1);
  // The root may go: nothing rests on it any more.
  server_.DropOldAuthorities();
  ASSERT_TRUE(RunFor(minutes(2)).ok());
  EXPECT_EQ(server_.Calls("Attest"), 1);
}

TEST_F(AgentLoopTest, ATaintedAuthoritysTokensAreFetchedAnew) {
  PutEntry("web", 1);
  ASSERT_TRUE(RunFor(seconds(1)).ok());
  auto fetch = [&] {
    return loop_->jwts().Fetch(*Look(1)->identities[0].entry, {"aud"},
                               clock_.Monotonic() + seconds(5));
  };
  const std::string before = fetch()->token;
  EXPECT_EQ(fetch()->token, before);
  server_.RotateAuthority();
  ASSERT_TRUE(RunFor(seconds(6)).ok());
  EXPECT_EQ(fetch()->token, before);
  server_.TaintOldAuthorities();
  ASSERT_TRUE(RunFor(seconds(6)).ok());
  const std::string after = fetch()->token;
  EXPECT_NE(after, before);
  server_.DropOldAuthorities();
  ASSERT_TRUE(RunFor(seconds(6)).ok());
  EXPECT_EQ(fetch()->token, after);
}

TEST_F(AgentLoopTest, EntriesForASecretStoreGetNoSvid) {
  Entry stored{.id = "s",
               .spiffe_id = *SpiffeId::Parse("spiffe://example.org/s"),
               .parent_id = *SpiffeId::Parse("spiffe://example.org/spire/agent/x"),
               .selectors = Of(1),
               .store_svid = true};
  server_.PutEntry(stored);
  ASSERT_TRUE(RunFor(minutes(1)).ok());
  EXPECT_EQ(Look(1)->state, State::kNoIdentity);
  EXPECT_EQ(server_.Calls("NewX509Svids"), 0);
}

TEST_F(AgentLoopTest, ClocksThatDifferDoNotStopIt) {
  for (Duration skew : {Duration(minutes(10)), Duration(-minutes(10))}) {
    server_.Set([&](auto& knobs) { knobs.skew = skew; });
    PutEntry("web", 1);
    int calls = server_.Calls("NewX509Svids");
    ASSERT_TRUE(RunFor(hours(2), [&] {
                  auto update = Look(1);
                  if (update->state == State::kReady) {
                    EXPECT_GT(update->identities[0].x509->not_after, clock_.Now());
                  }
                }).ok());
    EXPECT_EQ(Look(1)->state, State::kReady);
    EXPECT_LT(server_.Calls("NewX509Svids") - calls, 30);
  }
}

TEST_F(AgentLoopTest, ReadsTheSourceAgainWhenTheServerChangedItsRoots) {
  PutEntry("web", 1);
  ASSERT_TRUE(RunFor(seconds(1)).ok());
  server_.RotateAuthority();
  server_.DropOldAuthorities();
  MakeLoop();  // a restart, so that it connects anew with the kept bundle
  ASSERT_TRUE(RunFor(minutes(2)).ok());
  EXPECT_EQ(loop_->Ready().code(), Code::kUnavailable);
  ASSERT_TRUE(WriteFileAtomic(dir_ / "bundle.pem", ToPem(server_.CurrentBundle()), 0644).ok());
  prover_.token = "t2";  // the agent's SVID is of the authority that has gone
  server_.AddToken("t2");
  ASSERT_TRUE(RunFor(minutes(2)).ok());
  EXPECT_TRUE(loop_->Ready().ok());
  EXPECT_EQ(Look(1)->state, State::kReady);
}

TEST_F(AgentLoopTest, FetchesJwtSvidsOverTheAgentsConnection) {
  PutEntry("web", 1);
  ASSERT_TRUE(RunFor(seconds(1)).ok());
  const Entry entry = *Look(1)->identities[0].entry;
  Result<HeldJwt> jwt = loop_->jwts().Fetch(entry, {"aud"}, clock_.Monotonic() + seconds(5));
  ASSERT_TRUE(jwt.ok()) << jwt.status().ToString();
  EXPECT_EQ(loop_->jwts().Fetch(entry, {"aud"}, clock_.Monotonic() + seconds(5))->token,
            jwt->token);
}

}  // namespace
}  // namespace writ
