// SPDX-License-Identifier: Apache-2.0
//
// The loop and a server that refuses some X.509-SVIDs, or takes fewer requests at once.
#include "agent/sync/agent_loop_fixture.h"

namespace writ {
namespace {

using State = WorkloadUpdate::State;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

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

TEST_F(AgentLoopTest, WhatTheServerRefusesToRenewIsAskedForAgainAtAPace) {
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
  EXPECT_TRUE(calls >= 4 && calls <= 13) << calls;
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
  EXPECT_EQ(server_.largest_batch(), 100u);
  EXPECT_EQ(server_.Calls("NewX509Svids"), 12);
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
  EXPECT_EQ(server_.largest_batch(), 100u);
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

// Seldom as it may poll: one entry's refusal costs no other its SVID, nor a passing one its own.
TEST_F(AgentLoopTest, NobodysSvidExpiresForARefusal) {
  for (const bool notices : {false, true}) {
    for (const Duration interval : {Duration(seconds(5)), Duration(minutes(30)),
                                    Duration(minutes(60)), Duration(hours(2))}) {
      server_.AddToken("t1");
      server_.Set([&](auto& knobs) { knobs.notices = notices; });
      MakeLoop(interval);
      PutEntry("bad", 1);
      PutEntry("good", 2);
      ASSERT_TRUE(RunFor(minutes(1)).ok());
      const Time begun = clock_.Now();
      int without = 0;
      ASSERT_TRUE(RunFor(hours(8), [&] {
                    const Duration passed = clock_.Now() - begun;
                    server_.Set([&](auto& knobs) {
                      knobs.refuse_entries = {"bad"};
                      if (passed > minutes(26) && passed < minutes(40)) {
                        knobs.refuse_entries.insert("good");
                      }
                    });
                    const auto update = Look(2);
                    without += update->state != State::kReady ||
                               update->identities[0].x509->not_after <= clock_.Now();
                  }).ok());
      EXPECT_EQ(without, 0) << FormatDuration(interval) << (notices ? " with notices" : "");
      server_.Set([](auto& knobs) { knobs.refuse_entries.clear(); });
    }
  }
}

TEST_F(AgentLoopTest, AClockThatJumpsBackDoesNotKeepWhatWasRefusedWaiting) {
  server_.Set([](auto& knobs) { knobs.refuse_entries = {"bad"}; });
  PutEntry("bad", 1);
  ASSERT_TRUE(RunFor(minutes(1)).ok());
  server_.Set([](auto& knobs) { knobs.refuse_entries.clear(); });
  clock_.JumpWallTime(-seconds(9));  // as far as the SVIDs of a moment ago are valid
  ASSERT_TRUE(RunFor(seconds(6)).ok());
  EXPECT_EQ(Look(1)->state, State::kReady);
}

}  // namespace
}  // namespace writ
