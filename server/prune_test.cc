// SPDX-License-Identifier: Apache-2.0
#include "server/prune.h"

#include <gtest/gtest.h>

#include "test/fake/fake_audit_log.h"
#include "test/fake/fake_clock.h"
#include "test/fake/fake_log.h"
#include "test/fake/fake_store.h"

namespace writ {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

class PruningTest : public ::testing::Test {
 protected:
  void AddAgent(const std::string& name, bool may_reattest) {
    Agent agent{.id = *SpiffeId::Parse("spiffe://example.org/spire/agent/x/" + name),
                .attestation_type = "x",
                .serial = "1",
                .not_after = ToUnixSeconds(clock_.Now()) + 60,
                .may_reattest = may_reattest};
    ASSERT_TRUE(store_.agents().CommitAttestation(agent, "", clock_.Now()).ok());
  }
  bool Knows(const std::string& name) {
    return store_.agents().Get("spiffe://example.org/spire/agent/x/" + name).ok();
  }
  Pruning Make(Duration expired_for, bool non_reattestable = false) {
    return Pruning({.agents = &store_.agents(),
                    .entries = &store_.entries(),
                    .audit = &audit_,
                    .clock = &clock_,
                    .log = &log_,
                    .agents_expired_for = expired_for,
                    .non_reattestable = non_reattestable});
  }

  FakeClock clock_;
  FakeLog log_;
  FakeStore store_;
  FakeAuditLog audit_;
};

TEST_F(PruningTest, AgentsStayUnlessConfiguredAndTokensNeverDo) {
  AddAgent("a", true);
  ASSERT_TRUE(store_.agents().CreateToken({"t", ToUnixSeconds(clock_.Now()) + 60}, {}).ok());
  clock_.Advance(hours(1000));
  Pruning pruning = Make(Duration::zero(), true);
  EXPECT_EQ(pruning.Step(), clock_.Now() + minutes(1));
  EXPECT_TRUE(Knows("a"));
  EXPECT_EQ(store_.agents().GetToken("t").code(), Code::kNotFound);
  EXPECT_TRUE(audit_.Events().empty());
}

TEST_F(PruningTest, AgentsGoWhenTheyHaveBeenExpiredForLongEnough) {
  AddAgent("reattests", true);
  AddAgent("cannot", false);
  Pruning pruning = Make(hours(24));
  clock_.Advance(hours(24) + seconds(60));
  pruning.Step();
  EXPECT_TRUE(Knows("reattests"));
  clock_.Advance(seconds(1));
  pruning.Step();
  EXPECT_FALSE(Knows("reattests"));
  EXPECT_TRUE(Knows("cannot"));
  ASSERT_EQ(audit_.Events().size(), 1u);
  EXPECT_EQ(audit_.Events()[0].action, "agent.prune");
  EXPECT_EQ(audit_.Events()[0].subject, "spiffe://example.org/spire/agent/x/reattests");
  Make(hours(24), true).Step();
  EXPECT_FALSE(Knows("cannot"));
}

TEST_F(PruningTest, ExpiredEntriesGoAndMakeRoomForSimilarOnes) {
  Entry entry{.spiffe_id = *SpiffeId::Parse("spiffe://example.org/web"),
              .parent_id = *SpiffeId::Parse("spiffe://example.org/node"),
              .selectors = Selectors({{"unix", "uid:1"}}),
              .expires_at = ToUnixSeconds(clock_.Now()) + 60};
  int ids = 0;
  auto create = [&] {
    return store_.entries()
        .Create({entry}, clock_.Now(), [&] { return "e" + std::to_string(++ids); })
        ->front();
  };
  ASSERT_TRUE(create().status.ok());
  Pruning pruning = Make(Duration::zero());
  clock_.Advance(seconds(60));
  pruning.Step();
  EXPECT_EQ(create().status.code(), Code::kAlreadyExists);
  clock_.Advance(seconds(1));
  pruning.Step();
  ASSERT_EQ(audit_.Events().size(), 1u);
  EXPECT_EQ(audit_.Events()[0].action, "entry.prune");
  EXPECT_EQ(audit_.Events()[0].subject, "e1");
  EXPECT_TRUE(create().status.ok());
}

TEST_F(PruningTest, MoreThanAStepTakesGoesOnSoon) {
  for (size_t i = 0; i <= kPrunedPerStepMax; ++i) AddAgent(std::to_string(i), true);
  clock_.Advance(hours(2));
  Pruning pruning = Make(hours(1));
  EXPECT_EQ(pruning.Step(), clock_.Now() + seconds(1));
  EXPECT_EQ(pruning.Step(), clock_.Now() + minutes(1));
  EXPECT_EQ(audit_.Events().size(), kPrunedPerStepMax + 1);
}

TEST_F(PruningTest, AFailedStoreIsToldAndTriedAgain) {
  store_.FailWrites(Unavailable("the disk is full"));
  Pruning pruning = Make(hours(1));
  EXPECT_EQ(pruning.Step(), clock_.Now() + minutes(1));
  EXPECT_EQ(log_.Count("cannot delete expired"), 2);  // agents, entries
}

}  // namespace
}  // namespace writ
