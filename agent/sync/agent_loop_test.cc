// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/agent_loop_fixture.h"

namespace writ {
namespace {

using State = WorkloadUpdate::State;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

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

// A call under way may have begun with an SVID that the agent has replaced since.
TEST_F(AgentLoopTest, ADenialOfACallForSvidsAloneEndsNoAgent) {
  PutEntry("web", 1);
  server_.Set([](auto& knobs) {
    knobs.refuse["NewX509Svids"] =
        PermissionDenied("not the active SVID").WithReason(static_cast<int>(Denial::kNotActive));
  });
  ASSERT_TRUE(RunFor(minutes(1)).ok());
  EXPECT_EQ(Look(1)->state, State::kPending);
  EXPECT_EQ(server_.Calls("Attest"), 1);
  server_.Set([](auto& knobs) { knobs.refuse.clear(); });
  ASSERT_TRUE(RunFor(minutes(5)).ok());
  EXPECT_EQ(Look(1)->state, State::kReady);
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
  // Each attempt has one line, which says the whole.
  const auto failed = static_cast<int>(loop_->Counts().turns_failed);
  EXPECT_GT(failed, 1);
  EXPECT_EQ(log_.Count("ERROR "), failed);
  EXPECT_EQ(log_.Count("neither the kept trust bundle nor the configured source"), failed);
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
