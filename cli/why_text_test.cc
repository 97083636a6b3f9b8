// SPDX-License-Identifier: Apache-2.0
#include "cli/why_text.h"

#include <gtest/gtest.h>

#include <sstream>

#include "cli/output.h"
#include "test/support/golden.h"

namespace writ {
namespace {

constexpr int64_t kNow = 1'790'000'000;

v1::ExplainWorkloadResponse Refused() {
  v1::ExplainWorkloadResponse answer;
  answer.set_pid(4711);
  answer.set_uid(1000);
  answer.set_gid(1000);
  answer.mutable_refusal()->set_id("6f1d2c3b4a59");
  answer.mutable_refusal()->set_method("FetchX509SVID");
  answer.mutable_refusal()->set_at(kNow - 30);
  v1::AttestorResult& attestor = *answer.add_attestors();
  attestor.set_name("unix");
  attestor.add_selectors("unix:uid:1000");
  attestor.add_selectors("unix:path:/usr/bin/\x1b[31mpython3");
  answer.add_attestors()->set_name("k8s");
  answer.mutable_attestors(1)->set_error("the kubelet is away");
  answer.mutable_agent()->set_spiffe_id("spiffe://example.org/spire/agent/join_token/n1");
  answer.mutable_agent()->set_expires_at(kNow + 1800);
  answer.mutable_agent()->set_entries(7);
  v1::NearEntry& near = *answer.add_nearest();
  near.set_entry_id("e1");
  near.set_spiffe_id("spiffe://example.org/web");
  near.set_parent_id("spiffe://example.org/spire/agent/join_token/n1");
  near.add_selectors("unix:uid:1001");
  near.add_missing("unix:uid:1001");
  near.set_why("entry e1 has the selectors unix:uid:1001: the process does not have unix:uid:1001 "
               "(it has unix:uid:1000)");
  answer.add_advice("Change the entry.");
  return answer;
}

v1::ExplainIdentityResponse Identity() {
  v1::ExplainIdentityResponse answer;
  answer.set_spiffe_id("spiffe://example.org/web");
  v1::IdentityEntry& entry = *answer.add_entries();
  entry.set_entry_id("e1");
  entry.set_parent_id("spiffe://example.org/spire/agent/join_token/n1");
  entry.add_selectors("unix:uid:1000");
  v1::AgentStanding& agent = *entry.add_agents();
  agent.set_spiffe_id("spiffe://example.org/spire/agent/join_token/n1");
  agent.set_expired(true);
  agent.set_expires_at(kNow - 3600);
  agent.set_agent_version("1.0");
  entry.add_obstacles("agent spiffe://example.org/spire/agent/join_token/n1 has let its SVID end");
  answer.add_advice("Entry e1: its agent is away.");
  return answer;
}

TEST(WhyTextTest, AWorkloadsAnswerReadsAsWritten) {
  std::ostringstream out;
  PrintWorkload(out, Refused(), FromUnixSeconds(kNow));
  ExpectGolden("test/golden/why_workload.txt", out.str());
  std::ostringstream json;
  PrintJson(json, WorkloadJson(Refused()));
  ExpectGolden("test/golden/why_workload.json", json.str());
}

TEST(WhyTextTest, AnIdentitysAnswerReadsAsWritten) {
  std::ostringstream out;
  PrintIdentity(out, Identity(), FromUnixSeconds(kNow));
  ExpectGolden("test/golden/why_identity.txt", out.str());
  std::ostringstream json;
  PrintJson(json, IdentityJson(Identity()));
  ExpectGolden("test/golden/why_identity.json", json.str());
}

TEST(WhyTextTest, AWorkloadReadsWhetherItsAgentIsInStep) {
  v1::ExplainWorkloadResponse answer;
  std::ostringstream in_step;
  PrintWorkload(in_step, answer, FromUnixSeconds(kNow));
  EXPECT_NE(in_step.str().find("Agent:   in step with the server\n"), std::string::npos)
      << in_step.str();
  answer.mutable_agent()->set_problem("the agent is not in step with the server");
  std::ostringstream away;
  PrintWorkload(away, answer, FromUnixSeconds(kNow));
  EXPECT_NE(away.str().find("the agent is not in step with the server\n"), std::string::npos)
      << away.str();
}

TEST(WhyTextTest, AnIssuedIdentityIsShownAndNothingElse) {
  v1::ExplainWorkloadResponse answer;
  answer.set_pid(1);
  v1::IssuedIdentity& identity = *answer.add_identities();
  identity.set_spiffe_id("spiffe://example.org/web");
  identity.set_entry_id("e1");
  identity.set_x509_expires_at(kNow + 60);
  std::ostringstream out;
  PrintWorkload(out, answer, FromUnixSeconds(kNow));
  EXPECT_NE(out.str().find("spiffe://example.org/web (entry e1; X.509-SVID ends "),
            std::string::npos);
  EXPECT_EQ(out.str().find("What to do"), std::string::npos);
}

}  // namespace
}  // namespace writ
