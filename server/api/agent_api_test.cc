// SPDX-License-Identifier: Apache-2.0
#include "server/api/agent_api.h"

#include <set>

#include "core/base/thread.h"
#include "server/api/api_fixture.h"

namespace writ {
namespace {

class AgentApiTest : public ApiFixture {
 protected:
  types::JoinToken NewToken(int ttl = 600, const std::string& value = "",
                            const std::string& alias = "") {
    agent_pb::CreateJoinTokenRequest request;
    request.set_ttl(ttl);
    request.set_token(value);
    if (!alias.empty()) SetId(request.mutable_agent_id(), alias);
    Call call = AsLocal();
    return Take(agents_->CreateJoinToken(call, request));
  }

  static agent_pb::AttestAgentRequest Params(const std::string& token) {
    agent_pb::AttestAgentRequest request;
    request.mutable_params()->mutable_data()->set_type("join_token");
    request.mutable_params()->mutable_data()->set_payload(token);
    request.mutable_params()->mutable_params()->set_csr(Csr());
    return request;
  }
  Result<agent_pb::AttestAgentResponse> Attest(const agent_pb::AttestAgentRequest& request) {
    Call call = As({.actor = "anonymous"});
    auto stream = agents_->AttestAgent();
    TRY(stream->OnRequest(call, request));
    agent_pb::AttestAgentResponse response;
    EXPECT_EQ(*stream->Answer(call, &response), AgentApi::Attest::Next::kSend);
    agent_pb::AttestAgentResponse rest;
    EXPECT_EQ(*stream->Answer(call, &rest), AgentApi::Attest::Next::kFinish);
    return response;
  }

  agent_pb::ListAgentsResponse List(
      const std::function<void(agent_pb::ListAgentsRequest::Filter*)>& set) {
    agent_pb::ListAgentsRequest request;
    set(request.mutable_filter());
    Call call = AsLocal();
    return Take(agents_->ListAgents(call, request));
  }
};

TEST_F(AgentApiTest, TokenAttestsOnce) {
  std::string token = NewToken().value();
  auto response = Take(Attest(Params(token)));
  const types::X509SVID& svid = response.result().svid();
  EXPECT_FALSE(response.result().reattestable());
  EXPECT_EQ(svid.id().path(), "/spire/agent/join_token/" + token);
  Certificate leaf = Take(Certificate::FromDer(svid.cert_chain(0)));
  EXPECT_EQ(leaf.uri_sans(), (std::vector{"spiffe://example.org" + svid.id().path()}));
  EXPECT_EQ(leaf.public_key(), LeafKey().Public());
  std::optional<Agent> agent = registry_->GetAgent(leaf.uri_sans()[0]);
  ASSERT_TRUE(agent.has_value());
  EXPECT_EQ(agent->serial, leaf.serial().ToDecimal());
  EXPECT_EQ(agent->not_after, svid.expires_at());

  Status again = Attest(Params(token)).status();
  EXPECT_EQ(again, InvalidArgument(
                       "failed to attest: join token does not exist or has already been used"));
}

TEST_F(AgentApiTest, TokenUsedByManyAtOnceMakesOneAgent) {
  std::string token = NewToken().value();
  constexpr int kCallers = 16;
  std::vector<Code> outcomes(kCallers, Code::kOk);
  {
    std::vector<Thread> threads;
    for (int i = 0; i < kCallers; ++i) {
      threads.emplace_back("attester",
                           [&, i](std::stop_token) { outcomes[i] = Attest(Params(token)).code(); });
    }
    for (Thread& thread : threads) thread.Join();
  }
  EXPECT_EQ(std::count(outcomes.begin(), outcomes.end(), Code::kOk), 1);
  EXPECT_EQ(std::count(outcomes.begin(), outcomes.end(), Code::kInvalidArgument), kCallers - 1);
}

TEST_F(AgentApiTest, MalformedRequestBurnsNoToken) {
  std::string token = NewToken().value();
  agent_pb::AttestAgentRequest bad[6];
  for (auto& request : bad) request = Params(token);
  bad[0].clear_params();
  bad[1].mutable_params()->clear_data();
  bad[2].mutable_params()->clear_params();
  bad[3].mutable_params()->mutable_params()->set_csr("");
  bad[4].mutable_params()->mutable_params()->set_csr("no DER");
  bad[5].mutable_params()->mutable_data()->set_type("");
  for (const auto& request : bad) {
    EXPECT_EQ(Attest(request).code(), Code::kInvalidArgument) << request.ShortDebugString();
  }
  std::string csr = Csr();
  csr.back() ^= 1;  // the signature
  agent_pb::AttestAgentRequest forged = Params(token);
  forged.mutable_params()->mutable_params()->set_csr(csr);
  EXPECT_EQ(Attest(forged).code(), Code::kInvalidArgument);
  EXPECT_TRUE(Attest(Params(token)).ok());
}

TEST_F(AgentApiTest, StoreFailureBurnsNoTokenAndIssuesNothing) {
  std::string token = NewToken().value();
  store_.FailWrites(Unavailable("the disk is full"));
  EXPECT_EQ(Attest(Params(token)).code(), Code::kUnavailable);
  store_.FailWrites(OkStatus());
  EXPECT_TRUE(Attest(Params(token)).ok());
}

TEST_F(AgentApiTest, AttestationErrorsAreSpires) {
  EXPECT_EQ(Attest(Params("unknown")).code(), Code::kInvalidArgument);
  agent_pb::AttestAgentRequest other = Params("x");
  other.mutable_params()->mutable_data()->set_type("x509pop");
  EXPECT_EQ(Attest(other).code(), Code::kFailedPrecondition);
  std::string token = NewToken(10).value();
  clock_.Advance(std::chrono::seconds(11));
  EXPECT_EQ(Attest(Params(token)).code(), Code::kInvalidArgument);
}

TEST_F(AgentApiTest, BannedAgentCannotAttestAnew) {
  AddAgent("/spire/agent/join_token/again");
  agent_pb::BanAgentRequest ban;
  SetId(ban.mutable_id(), "/spire/agent/join_token/again");
  Call call = AsLocal();
  ASSERT_TRUE(agents_->BanAgent(call, ban).ok());
  NewToken(600, "again");
  Status status = Attest(Params("again")).status();
  EXPECT_EQ(status.code(), Code::kPermissionDenied);
  EXPECT_EQ(status.reason(), static_cast<int>(AgentDenial::kBanned));
}

TEST_F(AgentApiTest, AliasEntryComesWithTheTokenAndGoesWithTheAgent) {
  NewToken(600, "t1", "/cluster/node");
  std::vector<Entry> entries = registry_->ListEntries({}, kFromTheFirst, 10);
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].spiffe_id, Id("/cluster/node"));
  EXPECT_EQ(entries[0].parent_id, Id("/spire/agent/join_token/t1"));
  EXPECT_EQ(entries[0].selectors,
            (Selectors{{"spiffe_id", "spiffe://example.org/spire/agent/join_token/t1"}}));
  ASSERT_TRUE(Attest(Params("t1")).ok());
  agent_pb::DeleteAgentRequest request;
  SetId(request.mutable_id(), "/spire/agent/join_token/t1");
  Call call = AsLocal();
  EXPECT_TRUE(agents_->DeleteAgent(call, request).ok());
  EXPECT_TRUE(registry_->ListEntries({}, kFromTheFirst, 10).empty());
  EXPECT_EQ(agents_->DeleteAgent(call, request).status(), NotFound("agent not found"));
}

TEST_F(AgentApiTest, BadTokensAreRefused) {
  auto create = [this](int ttl, const std::string& token, const std::string& alias) {
    agent_pb::CreateJoinTokenRequest request;
    request.set_ttl(ttl);
    request.set_token(token);
    if (!alias.empty()) SetId(request.mutable_agent_id(), alias);
    Call call = AsLocal();
    return agents_->CreateJoinToken(call, request).code();
  };
  EXPECT_EQ(create(0, "", ""), Code::kInvalidArgument);
  EXPECT_EQ(create(-5, "", ""), Code::kInvalidArgument);
  EXPECT_EQ(create(60, "a/b", ""), Code::kInvalidArgument);
  EXPECT_EQ(create(60, "..", ""), Code::kInvalidArgument);
  EXPECT_EQ(create(60, std::string(5000, 'a'), ""), Code::kInvalidArgument);
  EXPECT_EQ(create(60, "", "/spire/agent/x"), Code::kInvalidArgument);
  EXPECT_EQ(create(60, "", "bad"), Code::kInvalidArgument);
  EXPECT_EQ(create(60, "same", ""), Code::kOk);
  EXPECT_EQ(create(60, "same", ""), Code::kAlreadyExists);
}

TEST_F(AgentApiTest, RenewalIsPendingUntilItsFirstUse) {
  std::string token = NewToken().value();
  auto attested = Take(Attest(Params(token)));
  SpiffeId id = Id("/spire/agent/join_token/" + token);
  Certificate first = Take(Certificate::FromDer(attested.result().svid().cert_chain(0)));
  Call call = As({.id = id, .leaf = first, .actor = id.text()});
  agent_pb::RenewAgentRequest request;
  EXPECT_EQ(agents_->RenewAgent(call, request).code(), Code::kInvalidArgument);
  request.mutable_params();
  EXPECT_EQ(agents_->RenewAgent(call, request).status(), InvalidArgument("missing CSR"));
  request.mutable_params()->set_csr("x");
  EXPECT_EQ(agents_->RenewAgent(call, request).code(), Code::kInvalidArgument);
  request.mutable_params()->set_csr(Csr());
  auto response = Take(agents_->RenewAgent(call, request));
  Certificate second = Take(Certificate::FromDer(response.svid().cert_chain(0)));
  EXPECT_EQ(registry_->GetAgent(id.text())->serial, first.serial().ToDecimal());
  EXPECT_EQ(registry_->GetAgent(id.text())->pending_serial, second.serial().ToDecimal());
  EXPECT_TRUE(gate_->Admit(id, first).ok());
  EXPECT_TRUE(gate_->Admit(id, second).ok());
  EXPECT_EQ(gate_->Admit(id, first).reason(), static_cast<int>(AgentDenial::kNotActive));
}

TEST_F(AgentApiTest, ReattestableAgentMayNotRenew) {
  AddAgent(kAgentPath, [](Agent& agent) { agent.may_reattest = true; });
  Call call = AsAgent();
  Status status = agents_->RenewAgent(call, {}).status();
  EXPECT_EQ(status.code(), Code::kPermissionDenied);
  EXPECT_EQ(status.reason(), static_cast<int>(AgentDenial::kMustReattest));
}

TEST_F(AgentApiTest, ListedAgentsPassTheFilters) {
  AddAgent("/spire/agent/join_token/a");
  AddAgent("/spire/agent/join_token/b", [](Agent& agent) {
    agent.banned = true;
    agent.serial.clear();
  });
  AddAgent("/spire/agent/x509pop/c", [](Agent& agent) {
    agent.attestation_type = "x509pop";
    agent.may_reattest = true;
    agent.selectors = {{"x509pop", "subject:cn:c"}};
  });
  using Filter = agent_pb::ListAgentsRequest::Filter;
  EXPECT_EQ(List([](Filter*) {}).agents_size(), 3);
  EXPECT_EQ(List([](Filter* f) { f->set_by_attestation_type("x509pop"); }).agents_size(), 1);
  EXPECT_EQ(List([](Filter* f) { f->mutable_by_banned()->set_value(true); }).agents_size(), 1);
  EXPECT_EQ(List([](Filter* f) { f->mutable_by_banned()->set_value(false); }).agents_size(), 2);
  EXPECT_EQ(List([](Filter* f) { f->mutable_by_can_reattest()->set_value(true); }).agents_size(),
            1);
  EXPECT_EQ(List([](Filter* f) {
              f->set_by_expires_before("2000-01-01 00:00:00 +0000 +00");
            }).agents_size(),
            0);
  EXPECT_EQ(List([](Filter* f) {
              f->set_by_expires_before("2100-01-01 00:00:00 -0700 -07");
            }).agents_size(),
            3);
  agent_pb::ListAgentsRequest bad;
  bad.mutable_filter()->set_by_expires_before("tomorrow");
  Call call = AsLocal();
  EXPECT_EQ(agents_->ListAgents(call, bad).code(), Code::kInvalidArgument);
}

TEST_F(AgentApiTest, ListWithoutPageSizeNeverPassesAMessageAndPagesHaveNoGaps) {
  for (int i = 0; i < 12; ++i) {
    AddAgent("/spire/agent/x509pop/" + std::to_string(i), [](Agent& agent) {
      for (int n = 0; n < 60; ++n) {
        agent.selectors.Insert({"x509pop", std::to_string(n) + std::string(8000, 'x')});
      }
    });
  }
  for (int page_size : {0, 5}) {
    agent_pb::ListAgentsRequest request;
    request.set_page_size(page_size);
    Call call = AsLocal();
    std::set<std::string> seen;
    int pages = 0;
    do {
      agent_pb::ListAgentsResponse page = Take(agents_->ListAgents(call, request));
      EXPECT_LE(page.ByteSizeLong(), kMessageBytesMax);
      if (page_size > 0) {
        EXPECT_LE(page.agents_size(), page_size);
      }
      for (const types::Agent& agent : page.agents()) {
        EXPECT_TRUE(seen.insert(agent.id().path()).second) << agent.id().path();
      }
      request.set_page_token(page.next_page_token());
      ++pages;
    } while (!request.page_token().empty());
    EXPECT_EQ(seen.size(), 12u);
    EXPECT_GT(pages, 1);
  }
}

TEST_F(AgentApiTest, AgentsAreFoundByTheirSelectorsInAllFourWays) {
  AddAgent("/spire/agent/x509pop/a", [](Agent& agent) { agent.selectors = {{"a", "1"}}; });
  AddAgent("/spire/agent/x509pop/ab", [](Agent& agent) {
    agent.selectors = {{"a", "1"}, {"b", "2"}};
  });
  AddAgent("/spire/agent/x509pop/c", [](Agent& agent) { agent.selectors = {{"c", "3"}}; });
  auto found = [this](types::SelectorMatch::MatchBehavior match,
                      const std::vector<std::pair<const char*, const char*>>& selectors) {
    agent_pb::ListAgentsRequest request;
    auto* by = request.mutable_filter()->mutable_by_selector_match();
    by->set_match(match);
    for (const auto& [type, value] : selectors) {
      types::Selector* selector = by->add_selectors();
      selector->set_type(type);
      selector->set_value(value);
    }
    Call call = AsLocal();
    std::set<std::string> names;
    agent_pb::ListAgentsResponse page = Take(agents_->ListAgents(call, request));
    for (const types::Agent& agent : page.agents()) {
      names.insert(agent.id().path().substr(std::string("/spire/agent/x509pop/").size()));
    }
    return names;
  };
  using Names = std::set<std::string>;
  EXPECT_EQ(found(types::SelectorMatch::MATCH_EXACT, {{"a", "1"}}), Names{"a"});
  EXPECT_EQ(found(types::SelectorMatch::MATCH_SUBSET, {{"a", "1"}, {"b", "2"}}),
            (Names{"a", "ab"}));
  EXPECT_EQ(found(types::SelectorMatch::MATCH_SUPERSET, {{"a", "1"}}), (Names{"a", "ab"}));
  EXPECT_EQ(found(types::SelectorMatch::MATCH_ANY, {{"b", "2"}, {"c", "3"}}), (Names{"ab", "c"}));
}

TEST_F(AgentApiTest, GetAgentShowsWhatTheMaskNames) {
  AddAgent(kAgentPath);
  agent_pb::GetAgentRequest request;
  Call call = AsLocal();
  EXPECT_EQ(agents_->GetAgent(call, request).code(), Code::kInvalidArgument);
  SetId(request.mutable_id(), kAgentPath);
  types::Agent agent = Take(agents_->GetAgent(call, request));
  EXPECT_EQ(agent.x509svid_serial_number(), serials_.at(kAgentPath).ToDecimal());
  EXPECT_FALSE(agent.banned());
  request.mutable_output_mask()->set_banned(true);
  EXPECT_EQ(Take(agents_->GetAgent(call, request)).x509svid_serial_number(), "");
  SetId(request.mutable_id(), "/spire/agent/join_token/nobody");
  EXPECT_EQ(agents_->GetAgent(call, request).status(), NotFound("agent not found"));
  SetId(request.mutable_id(), "/web");
  EXPECT_EQ(agents_->GetAgent(call, request).code(), Code::kInvalidArgument);
  SetId(request.mutable_id(), kAgentPath, "other.org");
  EXPECT_EQ(agents_->GetAgent(call, request).code(), Code::kInvalidArgument);
}

TEST_F(AgentApiTest, StatusKeepsTheAgentsVersion) {
  AddAgent(kAgentPath);
  Call call = AsAgent();
  agent_pb::PostStatusRequest request;
  request.set_agent_version("1.2.3");
  EXPECT_TRUE(agents_->PostStatus(call, request).ok());
  EXPECT_EQ(registry_->GetAgent(Id(kAgentPath).text())->agent_version, "1.2.3");
  request.set_agent_version(std::string(256, 'v'));
  EXPECT_EQ(agents_->PostStatus(call, request).code(), Code::kInvalidArgument);
}

TEST_F(AgentApiTest, BansAndDeletionsAreRecordedAndTokensStaySecret) {
  AddAgent(kAgentPath);
  Call call = AsLocal();
  agent_pb::BanAgentRequest ban;
  SetId(ban.mutable_id(), kAgentPath);
  ASSERT_TRUE(agents_->BanAgent(call, ban).ok());
  agent_pb::CreateJoinTokenRequest create;
  create.set_ttl(60);
  create.set_token("a-secret-token");
  ASSERT_TRUE(agents_->CreateJoinToken(call, create).ok());
  ASSERT_EQ(call.events.size(), 2u);
  EXPECT_EQ(call.events[0].action, "agent.ban");
  EXPECT_EQ(call.events[0].subject, Id(kAgentPath).text());
  EXPECT_EQ(call.events[1].action, "join_token.create");
  EXPECT_EQ(Json(call.events[1].details).Dump().find("a-secret-token"), std::string::npos);
  EXPECT_EQ(call.events[1].subject, "");
}

}  // namespace
}  // namespace writ
