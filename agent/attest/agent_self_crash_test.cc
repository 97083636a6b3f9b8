// SPDX-License-Identifier: Apache-2.0
//
// The agent's process dies, or its disk fails, between any two steps of attestation and renewal.
#include "agent/attest/agent_self_fixture.h"

namespace writ {
namespace {

using std::chrono::minutes;

// A crash at any point of attestation: a node that may attest again is back at the next start.
TEST_F(AgentSelfTest, ACrashAtAnyPointOfAttestationIsSurvived) {
  server_.Set([](auto& knobs) { knobs.reattestable = true; });
  bool finished = false;
  for (int limit = 0; !finished; ++limit) {
    ASSERT_LT(limit, 50);
    keys_ = MakeMemoryKeys();
    TempDir dir;
    state_ = MakeFileAgentState(dir.path(), td_, &log_);
    {
      Process dying(*this, limit);
      finished = dying.Step().ok() && !dying.fuse.blown();
    }
    Process next(*this);
    Outcome outcome = next.Step();
    ASSERT_TRUE(outcome.ok()) << "after " << limit << ": " << outcome.status.ToString();
    EXPECT_TRUE(next.Call().ok()) << limit;
    EXPECT_EQ(KeyCount(), 1u) << limit;
  }
}

// A crash at any point of a renewal: the agent is back without another token.
TEST_F(AgentSelfTest, ACrashAtAnyPointOfRenewalIsSurvived) {
  bool finished = false;
  for (int limit = 0; !finished; ++limit) {
    ASSERT_LT(limit, 50);
    keys_ = MakeMemoryKeys();
    TempDir dir;
    state_ = MakeFileAgentState(dir.path(), td_, &log_);
    prover_.token = "token-" + std::to_string(limit);
    server_.AddToken(prover_.token);
    ASSERT_TRUE(Process(*this).Step().ok());
    WriteBundleFile();
    clock_.Advance(minutes(34));
    {
      Process dying(*this, limit);
      bool stepped = dying.Step().ok();
      bool called = stepped && dying.Call().ok();
      finished = called && !dying.fuse.blown();
    }
    Process next(*this);
    Outcome outcome = next.Step();
    ASSERT_TRUE(outcome.ok()) << "after " << limit << ": " << outcome.status.ToString();
    Status called = next.Call();
    EXPECT_TRUE(called.ok()) << limit << ": " << called.ToString();
    EXPECT_EQ(KeyCount(), 1u) << limit;
  }
}

TEST_F(AgentSelfTest, ALostReplyToARenewalLeavesTheOldSvidInUse) {
  Process process(*this);
  ASSERT_TRUE(process.Step().ok());
  clock_.Advance(minutes(34));
  server_.Set([](auto& knobs) { knobs.lose_replies = 1; });
  std::string serial = SerialOf(process);
  EXPECT_TRUE(process.Step().ok());
  EXPECT_EQ(SerialOf(process), serial);
  EXPECT_TRUE(process.Call().ok());
  clock_.Advance(minutes(1));
  ASSERT_TRUE(process.Step().ok());
  EXPECT_NE(SerialOf(process), serial);
  EXPECT_TRUE(process.Call().ok());
}

TEST_F(AgentSelfTest, ADiskThatFailsAfterAttestationCostsNoToken) {
  // Deeds: bundle fetched, bundle stored, key made, attested; storing the SVID is the fifth.
  Process process(*this, 4);
  Outcome outcome = process.Step();
  EXPECT_FALSE(outcome.ok());
  EXPECT_FALSE(outcome.fatal);
  EXPECT_EQ(server_.Calls("Attest"), 1);
  EXPECT_FALSE(process.self->Tls().has_value());  // stored before it is used
  process.fuse.Repair();
  ASSERT_TRUE(process.Step().ok());
  EXPECT_EQ(server_.Calls("Attest"), 1);
  EXPECT_TRUE(process.Call().ok());
}

}  // namespace
}  // namespace writ
