// SPDX-License-Identifier: Apache-2.0
#include "agent/attest/agent_self.h"

#include "agent/attest/agent_self_fixture.h"
#include "test/fake/faulty_files.h"

namespace writ {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

TEST_F(AgentSelfTest, AttestsAndIsKnownAfterARestart) {
  std::string serial;
  {
    Process first(*this);
    Outcome outcome = first.Step();
    ASSERT_TRUE(outcome.ok()) << outcome.status.ToString();
    EXPECT_TRUE(first.Call().ok());
    serial = SerialOf(first);
  }
  Process second(*this);
  ASSERT_TRUE(second.Step().ok());
  EXPECT_EQ(SerialOf(second), serial);
  EXPECT_TRUE(second.Call().ok());
  EXPECT_EQ(server_.Calls("Attest"), 1);
  EXPECT_EQ(KeyCount(), 1u);
}

TEST_F(AgentSelfTest, RenewsAtHalfLifeAndTheOldKeyGoes) {
  Process process(*this);
  ASSERT_TRUE(process.Step().ok());
  std::string serial = SerialOf(process);
  clock_.Advance(minutes(20));
  ASSERT_TRUE(process.Step().ok());
  EXPECT_EQ(SerialOf(process), serial);
  clock_.Advance(minutes(14));
  ASSERT_TRUE(process.Step().ok());
  EXPECT_NE(SerialOf(process), serial);
  EXPECT_TRUE(process.Call().ok());
  EXPECT_EQ(server_.Calls("Renew"), 1);
  EXPECT_EQ(KeyCount(), 1u);
}

TEST_F(AgentSelfTest, AnAgentThatMayReattestRenewsByAttesting) {
  server_.Set([](auto& knobs) { knobs.reattestable = true; });
  Process process(*this);
  ASSERT_TRUE(process.Step().ok());
  clock_.Advance(minutes(34));
  ASSERT_TRUE(process.Step().ok());
  EXPECT_EQ(server_.Calls("Attest"), 2);
  EXPECT_EQ(server_.Calls("Renew"), 0);
  EXPECT_TRUE(process.Call().ok());
}

TEST_F(AgentSelfTest, ABanFoundWhenAttestingAnewEndsTheAgentAtOnce) {
  server_.Set([](auto& knobs) { knobs.reattestable = true; });
  Process process(*this);
  ASSERT_TRUE(process.Step().ok());
  server_.Ban("spiffe://example.org/spire/agent/join_token/t1");
  clock_.Advance(minutes(34));
  Outcome outcome = process.Step();
  EXPECT_TRUE(outcome.fatal);
  EXPECT_NE(outcome.status.message().find("writ agent evict"), std::string::npos);
}

TEST_F(AgentSelfTest, AServerThatIsAwayIsNoReasonToStop) {
  server_.Set([](auto& knobs) { knobs.away = true; });
  Process process(*this);
  for (int i = 0; i < 3; ++i) {
    Outcome outcome = process.Step();
    EXPECT_EQ(outcome.status.code(), Code::kUnavailable);
    EXPECT_FALSE(outcome.fatal);
  }
  EXPECT_EQ(KeyCount(), 0u);
  server_.Set([](auto& knobs) { knobs.away = false; });
  EXPECT_TRUE(process.Step().ok());
}

// Whether the server has given it or not.
void ExpectAdviceOnce(const std::string& message) {
  const size_t advice = message.find("`writ token create`");
  EXPECT_NE(advice, std::string::npos) << message;
  EXPECT_EQ(message.rfind("`writ token create`"), advice) << message;
  EXPECT_NE(message.find("--join-token"), std::string::npos) << message;
}

TEST_F(AgentSelfTest, ARefusedTokenIsFatalAndSaysHowToGetAnother) {
  prover_.token = "wrong";
  Process process(*this);
  Outcome outcome = process.Step();
  EXPECT_TRUE(outcome.fatal);
  ExpectAdviceOnce(outcome.status.message());
  EXPECT_EQ(KeyCount(), 0u);

  prover_.token = "";
  Outcome without = Process(*this).Step();
  EXPECT_TRUE(without.fatal);
  EXPECT_NE(without.status.message().find("no join token"), std::string::npos);
  ExpectAdviceOnce(without.status.message());
}

TEST_F(AgentSelfTest, ABusyServerIsNotARefusal) {
  for (Code code : {Code::kUnavailable, Code::kResourceExhausted, Code::kInternal, Code::kUnknown,
                    Code::kDeadlineExceeded, Code::kAborted, Code::kUnauthenticated}) {
    server_.Set([&](auto& knobs) { knobs.refuse["Attest"] = Status(code, "not now"); });
    Outcome outcome = Process(*this).Step();
    EXPECT_FALSE(outcome.ok());
    EXPECT_FALSE(outcome.fatal) << CodeName(code);
  }
}

TEST_F(AgentSelfTest, DenialsLeadToAttestationOrTheEnd) {
  server_.AddToken("t2");
  Process process(*this);
  ASSERT_TRUE(process.Step().ok());
  server_.DeleteAgent(agent_id_);
  Status denied = process.Call();
  EXPECT_EQ(DenialOf(denied), Denial::kNotAttested);
  EXPECT_FALSE(process.self->OnDenied(denied).fatal);
  Outcome outcome = process.Step();  // with the token that is used up
  EXPECT_TRUE(outcome.fatal);
  EXPECT_NE(outcome.status.message().find("writ token create"), std::string::npos);

  // Started again with a new token, the stored SVID is of no use, the token is.
  prover_.token = "t2";
  Process next(*this);
  ASSERT_TRUE(next.Step().ok());
  denied = next.Call();
  EXPECT_FALSE(denied.ok());
  EXPECT_FALSE(next.self->OnDenied(denied).fatal);
  EXPECT_TRUE(next.Step().ok());
  EXPECT_TRUE(next.Call().ok());

  server_.Ban("spiffe://example.org/spire/agent/join_token/t2");
  Outcome banned = next.self->OnDenied(next.Call());
  EXPECT_TRUE(banned.fatal);
  EXPECT_NE(banned.status.message().find("banned"), std::string::npos);
}

TEST_F(AgentSelfTest, EachReasonButBannedMeansAttestAnew) {
  server_.Set([](auto& knobs) { knobs.reattestable = true; });
  Process process(*this);
  ASSERT_TRUE(process.Step().ok());
  int attested = 1;
  for (int reason : {1, 2, 3, 5}) {
    EXPECT_FALSE(process.self->OnDenied(PermissionDenied("no").WithReason(reason)).fatal);
    EXPECT_TRUE(process.Step().ok());
    EXPECT_EQ(server_.Calls("Attest"), ++attested) << reason;
  }
  EXPECT_TRUE(process.self->OnDenied(PermissionDenied("no").WithReason(4)).fatal);
}

TEST_F(AgentSelfTest, ADenialOfTheRenewalItselfIsFollowed) {
  Process process(*this);
  ASSERT_TRUE(process.Step().ok());
  server_.Set([](auto& knobs) { knobs.reattestable = true; });  // the server changed its mind
  clock_.Advance(minutes(34));
  ASSERT_TRUE(process.Step().ok());
  EXPECT_EQ(server_.Calls("Renew"), 1);
  EXPECT_EQ(server_.Calls("Attest"), 2);
}

TEST_F(AgentSelfTest, ARefusalOfAnEarlyRenewalDoesNotEndAnAgentWhoseSvidIsGood) {
  server_.Set([](auto& knobs) { knobs.reattestable = true; });
  Process process(*this);
  ASSERT_TRUE(process.Step().ok());
  server_.Set([](auto& knobs) { knobs.refuse["Attest"] = InvalidArgument("misconfigured"); });
  clock_.Advance(minutes(34));
  EXPECT_TRUE(process.Step().ok());
  EXPECT_TRUE(process.Call().ok());
  clock_.Advance(minutes(30));
  EXPECT_TRUE(process.Step().fatal);
}

TEST_F(AgentSelfTest, AnExpiredOrKeylessStoredSvidLeadsToAttestation) {
  server_.Set([](auto& knobs) { knobs.reattestable = true; });
  ASSERT_TRUE(Process(*this).Step().ok());
  clock_.Advance(hours(2));
  Process expired(*this);
  ASSERT_TRUE(expired.Step().ok());
  EXPECT_EQ(server_.Calls("Attest"), 2);
  EXPECT_TRUE(expired.Call().ok());

  keys_ = MakeMemoryKeys();
  Process keyless(*this);
  ASSERT_TRUE(keyless.Step().ok());
  EXPECT_EQ(server_.Calls("Attest"), 3);

  ASSERT_TRUE(WriteFileAtomic(dir_ / "agent-svid.json", "{\"format\":1,\"ke", 0600).ok());
  Process torn(*this);
  ASSERT_TRUE(torn.Step().ok());
  EXPECT_EQ(server_.Calls("Attest"), 4);
  EXPECT_EQ(KeyCount(), 1u);
}

TEST_F(AgentSelfTest, ALostBundleIsBootstrappedAnewAndTheSvidKept) {
  ASSERT_TRUE(Process(*this).Step().ok());
  ASSERT_TRUE(WriteFileAtomic(dir_ / "bundle.json", "{\"keys\":[", 0644).ok());
  Process process(*this);
  ASSERT_TRUE(process.Step().ok());
  EXPECT_TRUE(process.Call().ok());
  EXPECT_EQ(server_.Calls("Attest"), 1);
}

TEST_F(AgentSelfTest, AnSvidThatEndsWhileRunningLeadsToAttestation) {
  server_.Set([](auto& knobs) { knobs.reattestable = true; });
  Process process(*this);
  ASSERT_TRUE(process.Step().ok());
  server_.Set([](auto& knobs) { knobs.away = true; });
  clock_.Advance(minutes(61));
  EXPECT_FALSE(process.Step().ok());
  EXPECT_FALSE(process.self->Tls().has_value());
  server_.Set([](auto& knobs) { knobs.away = false; });
  EXPECT_TRUE(process.Step().ok());
  EXPECT_TRUE(process.Call().ok());
}

TEST_F(AgentSelfTest, AWrongBundleIsRetriedNeverTrusted) {
  FakeServer other(td_, &clock_, &random_);
  ASSERT_TRUE(WriteFileAtomic(dir_ / "bootstrap.pem", ToPem(other.CurrentBundle()), 0644).ok());
  Process process(*this);
  Outcome outcome = process.Step();
  EXPECT_EQ(outcome.status.code(), Code::kUnauthenticated) << outcome.status.ToString();
  EXPECT_FALSE(outcome.fatal);
  EXPECT_NE(process.self->Rebootstrap(*process.server).message().find("nor the configured source"),
            std::string::npos);
  EXPECT_FALSE(process.Step().ok());
  EXPECT_EQ(server_.Calls("Attest"), 0);
  WriteBundleFile();  // the operator repairs it
  EXPECT_TRUE(process.self->Rebootstrap(*process.server).ok());
  EXPECT_TRUE(process.Step().ok());
}

TEST_F(AgentSelfTest, AMissingOrMalformedBundleFileIsFatalAtFirst) {
  bootstrap_.bundle_file = dir_ / "absent.pem";
  Outcome outcome = Process(*this).Step();
  EXPECT_TRUE(outcome.fatal);
  EXPECT_NE(outcome.status.message().find("absent.pem"), std::string::npos);
  ASSERT_TRUE(WriteFileAtomic(dir_ / "absent.pem", "no bundle", 0644).ok());
  EXPECT_TRUE(Process(*this).Step().fatal);
}

TEST_F(AgentSelfTest, AKeptBundleThatNoLongerVerifiesTheServerIsReplacedFromTheSource) {
  Process process(*this);
  ASSERT_TRUE(process.Step().ok());
  server_.RotateAuthority();
  server_.DropOldAuthorities();
  process.server->Reconnect();
  EXPECT_EQ(process.Call().code(), Code::kUnauthenticated);
  EXPECT_FALSE(process.self->Rebootstrap(*process.server).ok());  // the source is outdated as well
  EXPECT_EQ(process.Call().code(), Code::kUnauthenticated);
  WriteBundleFile();
  EXPECT_TRUE(process.self->Rebootstrap(*process.server).ok());
  EXPECT_NE(process.Call().code(), Code::kUnauthenticated);
  // The agent's own SVID is of the authority that has gone.
  prover_.token = "t2";
  server_.AddToken("t2");
  ASSERT_TRUE(process.Step().ok());
  EXPECT_EQ(server_.Calls("Attest"), 2);
  EXPECT_TRUE(process.Call().ok());
}

TEST_F(AgentSelfTest, ABundleWithAnotherAuthorityMoreChangesNothingForTheAgent) {
  Process process(*this);
  ASSERT_TRUE(process.Step().ok());
  server_.RotateAuthority();
  process.self->TakeBundle(server_.CurrentBundle(), *process.server);
  ASSERT_TRUE(process.Step().ok());
  EXPECT_EQ(server_.Calls("Attest"), 1);
  EXPECT_TRUE(process.Call().ok());
}

TEST_F(AgentSelfTest, ABundleThatADiskDidNotTakeIsStoredOnceItDoes) {
  FaultyFiles files;
  Process process(*this);
  ASSERT_TRUE(process.Step().ok());
  server_.RotateAuthority();
  files.Fail(dir_.path(), ENOSPC);
  process.self->TakeBundle(server_.CurrentBundle(), *process.server);
  ASSERT_TRUE(process.Step().ok());
  EXPECT_FALSE(state_->LoadBundle() == server_.CurrentBundle());
  files.Heal(dir_.path());
  ASSERT_TRUE(process.Step().ok());  // no other bundle comes
  EXPECT_TRUE(state_->LoadBundle() == server_.CurrentBundle());
  EXPECT_EQ(log_.Count("The trust bundle was not stored"), 1);
}

TEST_F(AgentSelfTest, RebootstrapCanBeTurnedOff) {
  rebootstrap_ = false;
  Process process(*this);
  ASSERT_TRUE(process.Step().ok());
  server_.RotateAuthority();
  server_.DropOldAuthorities();
  WriteBundleFile();
  process.server->Reconnect();
  EXPECT_EQ(process.Call().code(), Code::kUnauthenticated);
  EXPECT_NE(process.self->Rebootstrap(*process.server).message().find("remove bundle.json"),
            std::string::npos);
  EXPECT_EQ(process.Call().code(), Code::kUnauthenticated);
}

TEST_F(AgentSelfTest, InsecureBootstrapIsLoudAndOnlyForTheFirstBundle) {
  bootstrap_ = {.insecure = true};
  Process process(*this);
  ASSERT_TRUE(process.Step().ok());
  EXPECT_EQ(log_.Count("INSECURE BOOTSTRAP"), 1);
  EXPECT_TRUE(process.Call().ok());

  FakeServer impostor(td_, &clock_, &random_);
  impostor.Set([](auto& knobs) { knobs.reattestable = true; });
  ServerApiOptions api{.trust_domain = td_,
                       .identity = [&] { return process.self->Tls(); },
                       .verify = [&](const auto& chain) { return process.self->Verify(chain); },
                       .clock = &clock_,
                       .log = &log_};
  auto connection = impostor.Connect(std::move(api));
  EXPECT_EQ(connection->FetchBundle(true).code(), Code::kUnauthenticated);
  EXPECT_FALSE(process.self->Rebootstrap(*connection).ok());
  EXPECT_EQ(connection->FetchBundle(true).code(), Code::kUnauthenticated);
}

TEST_F(AgentSelfTest, InsecureBootstrapStillWantsTheServersId) {
  bootstrap_ = {.insecure = true};
  FakeServer foreign(*TrustDomain::Parse("other.org"), &clock_, &random_);
  Process process(*this);
  ServerApiOptions api{.trust_domain = td_,
                       .identity = [&] { return process.self->Tls(); },
                       .verify = [&](const auto& chain) { return process.self->Verify(chain); },
                       .clock = &clock_,
                       .log = &log_};
  auto connection = foreign.Connect(std::move(api));
  Outcome outcome = process.self->Step(*connection);
  EXPECT_EQ(outcome.status.code(), Code::kUnauthenticated);
  EXPECT_NE(outcome.status.message().find("spiffe://example.org/spire/server"), std::string::npos);
}

TEST_F(AgentSelfTest, ATaintedAuthorityMeansRenewalOnce) {
  Process process(*this);
  ASSERT_TRUE(process.Step().ok());
  std::string serial = SerialOf(process);
  std::set<std::string> tainted = {process.self->Tls()->chain.front().authority_key_id()};
  clock_.Advance(minutes(1));
  process.self->OnTainted(tainted);
  ASSERT_TRUE(process.Step().ok());
  EXPECT_NE(SerialOf(process), serial);
  process.self->OnTainted(tainted);  // signed by the same one again
  ASSERT_TRUE(process.Step().ok());
  EXPECT_EQ(server_.Calls("Renew"), 1);
}

}  // namespace
}  // namespace writ
