// SPDX-License-Identifier: Apache-2.0
//
// Every durable step of two and a half lives of an authority, with a crash or a failure at each of
// them in turn: whatever happens, the next start changes no authority and has lost no root.
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <set>

#include "server/ca/authorities_fixture.h"
#include "server/ca/schedule.h"

namespace writ {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using Fault = FaultPoint::Kind;

constexpr std::array kKinds = {AuthorityKind::kX509, AuthorityKind::kJwt};
constexpr Duration kLived = hours(60);
constexpr Duration kStride = minutes(30);
constexpr int kRetriesMax = 8;

class AuthoritiesCrashTest : public testing::TestWithParam<Fault> {
 protected:
  struct Outcome {
    int durable_steps = 0;
    std::set<std::string> made;  // authority IDs that the journal ever had
  };

  // Lives until the end, or until a crash; then starts again, checks, and lives on.
  void Live(Fault kind, int step, Outcome* outcome) {
    AuthoritiesWorld world;
    std::map<std::pair<AuthorityKind, std::string>, Time> signed_until;
    const Time end = world.clock.Now() + kLived;
    bool crash = kind == Fault::kCrashBefore || kind == Fault::kCrashAfter;
    world.fault.Arm(kind, step);
    Start(world, crash);
    while (world.clock.Now() < end) {
      Note(world, signed_until, outcome);
      StepUntilQuiet(world);
      if (crash && world.fault.fired()) {
        Note(world, signed_until, outcome);
        std::map<AuthorityKind, std::set<std::string>> allowed = MayShowAfterRestart(world);
        world.Close();
        Start(world, true);
        crash = false;
        for (AuthorityKind kind : kKinds) {
          EXPECT_TRUE(allowed[kind].contains(world.CurrentId(kind))) << "another authority signs";
        }
      }
      CheckWorld(world, signed_until);
      world.clock.Advance(kStride);
    }
    Note(world, signed_until, outcome);
    outcome->durable_steps = world.fault.seen();
  }

  // A start may meet the fault itself; after a crash everything is whole again.
  void Start(AuthoritiesWorld& world, bool heal) {
    Status status = world.Open();
    for (int i = 0; !status.ok() && i < kRetriesMax; ++i) {
      if (heal && world.fault.fired()) world.fault.Heal();
      status = world.Open();
    }
    ASSERT_TRUE(status.ok()) << status.message();
    if (heal && world.fault.fired()) world.fault.Heal();
  }

  // As the server's loop does: a step that wants to be repeated soon is.
  void StepUntilQuiet(AuthoritiesWorld& world) {
    for (int i = 0; i < kRetriesMax; ++i) {
      Time next = world.authorities->Step();
      if (next > world.clock.Now() + seconds(30)) return;
      world.clock.Advance(next - world.clock.Now());
    }
  }

  void Note(AuthoritiesWorld& world,
            std::map<std::pair<AuthorityKind, std::string>, Time>& signed_until,
            Outcome* outcome) {
    for (const JournalRow& row : world.store.journal().Load().value()) {
      outcome->made.insert(row.authority_id);
    }
    std::shared_ptr<const X509Ca> ca = world.authorities->CurrentX509();
    signed_until[{AuthorityKind::kX509, ca->authority_id}] = ca->certificate.not_after();
    std::shared_ptr<const JwtSigner> jwt = world.authorities->CurrentJwt();
    signed_until[{AuthorityKind::kJwt, jwt->authority_id}] = jwt->not_after;
  }

  // The active one as stored, and the prepared one if its time has come and the bundle holds it.
  std::map<AuthorityKind, std::set<std::string>> MayShowAfterRestart(AuthoritiesWorld& world) {
    std::map<AuthorityKind, std::set<std::string>> allowed;
    for (AuthorityKind kind : kKinds) {
      std::vector<JournalRow> active = world.Rows(kind, AuthorityStatus::kActive);
      EXPECT_EQ(active.size(), 1u);
      allowed[kind].insert(active[0].authority_id);
      if (world.clock.Now() < ActivateSuccessorAt(active[0])) continue;
      for (const JournalRow& row : world.Rows(kind, AuthorityStatus::kPrepared)) {
        if (world.InStoredBundle(kind, row.authority_id)) allowed[kind].insert(row.authority_id);
      }
    }
    return allowed;
  }

  void CheckWorld(AuthoritiesWorld& world,
                  const std::map<std::pair<AuthorityKind, std::string>, Time>& signed_until) {
    for (AuthorityKind kind : kKinds) {
      EXPECT_LE(world.Rows(kind, AuthorityStatus::kPrepared).size(), 1u);
      EXPECT_EQ(world.Rows(kind, AuthorityStatus::kActive).size(), 1u);
      EXPECT_TRUE(world.InStoredBundle(kind, world.CurrentId(kind)));
    }
    for (const auto& [authority, until] : signed_until) {
      if (world.clock.Now() >= until + hours(24)) continue;
      EXPECT_TRUE(world.InStoredBundle(authority.first, authority.second)) << "a root was lost";
    }
    EXPECT_GT(world.authorities->CurrentX509()->certificate.not_after(), world.clock.Now());
    EXPECT_GT(world.authorities->CurrentJwt()->not_after, world.clock.Now());
    CheckKeys(world);
  }

  // The keys of the journal and no others, with or without a new start.
  void CheckKeys(AuthoritiesWorld& world) {
    std::set<std::string> wanted;
    for (const JournalRow& row : world.store.journal().Load().value()) wanted.insert(row.key_name);
    std::vector<std::string> names = world.keys->List().value();
    EXPECT_EQ(std::set<std::string>(names.begin(), names.end()), wanted);
  }
};

TEST_P(AuthoritiesCrashTest, AtEveryDurableStepNothingIsLostOrMadeTwice) {
  Outcome whole;
  Live(Fault::kNone, 0, &whole);
  ASSERT_GT(whole.durable_steps, 20);
  for (int step = 1; step <= whole.durable_steps; ++step) {
    SCOPED_TRACE("step " + std::to_string(step));
    Outcome outcome;
    Live(GetParam(), step, &outcome);
    EXPECT_EQ(outcome.made.size(), whole.made.size());
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Faults, AuthoritiesCrashTest,
                         testing::Values(Fault::kCrashBefore, Fault::kCrashAfter,
                                         Fault::kFailBefore, Fault::kFailAfter),
                         [](const testing::TestParamInfo<Fault>& info) {
                           switch (info.param) {
                             case Fault::kCrashBefore: return "CrashBefore";
                             case Fault::kCrashAfter: return "CrashAfter";
                             case Fault::kFailBefore: return "FailBefore";
                             case Fault::kFailAfter: return "FailAfter";
                             case Fault::kNone: break;
                           }
                           return "None";
                         });

}  // namespace
}  // namespace writ
