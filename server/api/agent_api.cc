// SPDX-License-Identifier: Apache-2.0
#include "server/api/agent_api.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "attestors/join_token/join_token.h"
#include "core/base/bytes.h"
#include "core/crypto/csr.h"
#include "server/api/convert.h"
#include "server/api/expires_before.h"

namespace writ {
namespace {

// CountAgents and ListAgents have the same filter, in two message types.
template <class Filter>
Result<AgentFilter> FilterFrom(const Filter& proto) {
  AgentFilter filter;
  if (!proto.by_attestation_type().empty()) filter.attestation_type = proto.by_attestation_type();
  if (proto.has_by_selector_match()) {
    filter.selectors =
        TRY(SelectorMatchFrom(proto.by_selector_match()), "failed to parse selectors");
  }
  if (proto.has_by_banned()) filter.banned = proto.by_banned().value();
  if (proto.has_by_can_reattest()) filter.may_reattest = proto.by_can_reattest().value();
  if (!proto.by_expires_before().empty()) {
    filter.expires_before = TRY(ParseExpiresBefore(proto.by_expires_before()));
  }
  return filter;
}

Status AgentGone(const Status& status, const std::string& deed) {
  if (status.code() == Code::kNotFound) return NotFound("agent not found");
  return status.Annotate(deed);
}

}  // namespace

Result<agent_pb::CountAgentsResponse> AgentApi::CountAgents(
    Call&, const agent_pb::CountAgentsRequest& request) {
  AgentFilter filter = TRY(FilterFrom(request.filter()));
  agent_pb::CountAgentsResponse response;
  response.set_count(static_cast<int32_t>(
      std::min<size_t>(registry_->CountAgents(filter), std::numeric_limits<int32_t>::max())));
  return response;
}

Result<agent_pb::ListAgentsResponse> AgentApi::ListAgents(
    Call&, const agent_pb::ListAgentsRequest& request) {
  AgentFilter filter = TRY(FilterFrom(request.filter()));
  int64_t after = TRY(PlaceFrom(request.page_token()));
  size_t wanted = request.page_size() > 0 ? static_cast<size_t>(request.page_size())
                                          : std::numeric_limits<size_t>::max();
  agent_pb::ListAgentsResponse response;
  size_t bytes = 0;
  while (true) {
    // One more than fits tells whether there is a next page.
    size_t left = wanted - response.agents_size();
    size_t chunk = std::min(left, kAgentPageItems) + 1;
    std::vector<Agent> agents = registry_->ListAgents(filter, after, chunk);
    for (const Agent& agent : agents) {
      types::Agent proto;
      ToProto(agent, OutputMask(request), &proto);
      bytes += proto.ByteSizeLong();
      bool full = static_cast<size_t>(response.agents_size()) == wanted ||
                  (bytes > kPageBytesMax && !response.agents().empty());
      if (full) {
        response.set_next_page_token(std::to_string(after));
        return response;
      }
      after = agent.ordinal;
      *response.add_agents() = std::move(proto);
    }
    if (agents.size() < chunk) return response;
  }
}

Result<types::Agent> AgentApi::GetAgent(Call&, const agent_pb::GetAgentRequest& request) {
  SpiffeId id = TRY(AgentIdFrom(td_, IdOf(request)), "invalid agent ID");
  std::optional<Agent> agent = registry_->GetAgent(id.text());
  if (!agent) return NotFound("agent not found");
  types::Agent response;
  ToProto(*agent, OutputMask(request), &response);
  return response;
}

Result<google::protobuf::Empty> AgentApi::DeleteAgent(Call& call,
                                                      const agent_pb::DeleteAgentRequest& request) {
  SpiffeId id = TRY(AgentIdFrom(td_, IdOf(request)), "invalid agent ID");
  Status deleted = AgentGone(store_->Delete(id.text()), "failed to remove agent");
  call.Record("agent.delete", deleted, id.text());
  TRY(std::move(deleted));
  return google::protobuf::Empty();
}

Result<google::protobuf::Empty> AgentApi::BanAgent(Call& call,
                                                   const agent_pb::BanAgentRequest& request) {
  SpiffeId id = TRY(AgentIdFrom(td_, IdOf(request)), "invalid agent ID");
  Result<Agent> edited = store_->Edit(id.text(), [](Agent& agent) {
    agent.banned = true;
    agent.serial.clear();
    agent.pending_serial.clear();
    agent.pending_not_after = 0;
    return OkStatus();
  });
  Status banned = AgentGone(edited.status(), "failed to ban agent");
  call.Record("agent.ban", banned, id.text());
  TRY(std::move(banned));
  return google::protobuf::Empty();
}

Result<agent_pb::RenewAgentResponse> AgentApi::RenewAgent(
    Call& call, const agent_pb::RenewAgentRequest& request) {
  const SpiffeId& id = call.Agent();
  TRY(attestor_->CheckRenewal(id));
  if (!request.has_params()) return InvalidArgument("params cannot be nil");
  if (request.params().csr().empty()) return InvalidArgument("missing CSR");
  Csr csr = TRY(ParseCsr(request.params().csr(), {.malformed = "failed to parse CSR"}));
  IssuedX509 svid = TRY(issuer_->IssueAgentX509(
      X509Request{.id = id, .key = csr.key}, call.caller.actor, [&](const IssuedX509& issued) {
        return attestor_->CommitRenewal(id, issued.serial, issued.not_after);
      }));
  agent_pb::RenewAgentResponse response;
  ToProto(svid, response.mutable_svid());
  return response;
}

Result<types::JoinToken> AgentApi::CreateJoinToken(
    Call& call, const agent_pb::CreateJoinTokenRequest& request) {
  if (request.ttl() < 1) return InvalidArgument("ttl is required, you must provide one");
  std::string token = request.token().empty() ? random_->Uuid() : request.token();
  TRY(ValidateJoinToken(token), "invalid token");
  int64_t now = ToUnixSeconds(clock_->Now());
  int64_t expires_at = now + request.ttl();
  std::optional<Entry> alias;
  if (request.has_agent_id()) {
    SpiffeId id = TRY(WorkloadIdFrom(td_, &request.agent_id()), "invalid agent ID");
    SpiffeId parent =
        TRY(SpiffeId::FromPath(td_, "/spire/agent/" + std::string(kJoinTokenType) + "/" + token));
    alias = Entry{.id = random_->Uuid(),
                  .spiffe_id = std::move(id),
                  .parent_id = parent,
                  .selectors = {Selector{"spiffe_id", parent.text()}},
                  .created_at = now};
  }
  Status created = store_->CreateToken({.token = token, .expires_at = expires_at}, alias)
                       .Annotate("failed to create token");
  // The token itself is a secret and stays out of the record.
  Json::Object details = {{"expires_at", expires_at}};
  call.Record("join_token.create", created, alias ? alias->spiffe_id.text() : "",
              std::move(details));
  TRY(std::move(created));
  types::JoinToken response;
  response.set_value(token);
  response.set_expires_at(expires_at);
  return response;
}

Result<agent_pb::PostStatusResponse> AgentApi::PostStatus(
    Call& call, const agent_pb::PostStatusRequest& request) {
  const std::string& version = request.agent_version();
  if (version.size() > kAgentVersionBytesMax) {
    return InvalidArgument("agent version is too long (max " +
                           std::to_string(kAgentVersionBytesMax) + " characters)");
  }
  if (!version.empty()) {
    Result<Agent> edited = store_->Edit(call.Agent().text(), [&](Agent& agent) {
      agent.agent_version = version;
      return OkStatus();
    });
    TRY(AgentGone(edited.status(), "failed to update agent"));
  }
  return agent_pb::PostStatusResponse();
}

}  // namespace writ
