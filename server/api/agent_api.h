// SPDX-License-Identifier: Apache-2.0
//
// AgentApi: what SPIRE's Agent service does, a function for each method, and AttestAgent's stream.
//
// Threads: thread-safe. May block (store writes, the audit log).
#pragma once

#include <memory>
#include <string>

#include "core/base/clock.h"
#include "core/base/random.h"
#include "google/protobuf/empty.pb.h"
#include "server/api/call.h"
#include "server/api/stream.h"
#include "server/attest/attestation.h"
#include "server/entry/registry.h"
#include "server/issue/issuer.h"
#include "server/store/store.h"
#include "spire/api/server/agent/v1/agent.pb.h"

namespace writ {

namespace agent_pb = spire::api::server::agent::v1;

inline constexpr size_t kAgentPageItems = 500;
inline constexpr size_t kAgentVersionBytesMax = 255;

class AgentApi {
 public:
  AgentApi(TrustDomain td, const Registry* registry, AgentStore* store, const Attestor* attestor,
           Issuer* issuer, Clock* clock, Random* random)
      : td_(std::move(td)),
        registry_(registry),
        store_(store),
        attestor_(attestor),
        issuer_(issuer),
        clock_(clock),
        random_(random) {}

  Result<agent_pb::CountAgentsResponse> CountAgents(Call& call,
                                                    const agent_pb::CountAgentsRequest& request);
  Result<agent_pb::ListAgentsResponse> ListAgents(Call& call,
                                                  const agent_pb::ListAgentsRequest& request);
  Result<spire::api::types::Agent> GetAgent(Call& call, const agent_pb::GetAgentRequest& request);
  Result<google::protobuf::Empty> DeleteAgent(Call& call,
                                              const agent_pb::DeleteAgentRequest& request);
  Result<google::protobuf::Empty> BanAgent(Call& call, const agent_pb::BanAgentRequest& request);
  Result<agent_pb::RenewAgentResponse> RenewAgent(Call& call,
                                                  const agent_pb::RenewAgentRequest& request);
  Result<spire::api::types::JoinToken> CreateJoinToken(
      Call& call, const agent_pb::CreateJoinTokenRequest& request);
  Result<agent_pb::PostStatusResponse> PostStatus(Call& call,
                                                  const agent_pb::PostStatusRequest& request);

  using Attest = Conversation<agent_pb::AttestAgentRequest, agent_pb::AttestAgentResponse>;
  std::unique_ptr<Attest> AttestAgent();

 private:
  const TrustDomain td_;
  const Registry* const registry_;  // all borrowed
  AgentStore* const store_;
  const Attestor* const attestor_;
  Issuer* const issuer_;
  Clock* const clock_;
  Random* const random_;
};

}  // namespace writ
