// SPDX-License-Identifier: Apache-2.0
//
// AttestAgent's stream: the node's parameters, challenges and their answers, and at the end the
// agent's SVID, signed and stored in one go.
#include <optional>
#include <utility>

#include "server/api/agent_api.h"
#include "server/api/convert.h"

namespace writ {
namespace {

// Anybody may begin an attestation: nobody may leave it standing.
constexpr Duration kAttestationMayTake = std::chrono::minutes(1);

Status CheckParams(const agent_pb::AttestAgentRequest& request) {
  if (!request.has_params()) return InvalidArgument("missing params");
  const agent_pb::AttestAgentRequest::Params& params = request.params();
  if (!params.has_data()) return InvalidArgument("missing attestation data");
  if (!params.has_params()) return InvalidArgument("missing X509-SVID parameters");
  if (params.params().csr().empty()) return InvalidArgument("missing CSR");
  if (params.data().type().empty()) return InvalidArgument("missing attestation data type");
  if (params.data().payload().empty()) return InvalidArgument("missing attestation data payload");
  return OkStatus();
}

class AttestStream final : public AgentApi::Attest {
 public:
  AttestStream(const Attestor* attestor, Issuer* issuer) : attestor_(attestor), issuer_(issuer) {}

  Duration TimeLimit() const override { return kAttestationMayTake; }

  Status OnRequest(Call& call, const agent_pb::AttestAgentRequest& request) override {
    if (attestation_ == nullptr) {
      TRY(CheckParams(request), "malformed param");
      const types::AttestationData& data = request.params().data();
      attestation_ = TRY(attestor_->Begin(data.type(), request.params().params().csr(),
                                              call.caller.address));
      return Step(call, data.payload());
    }
    if (request.step_case() != agent_pb::AttestAgentRequest::kChallengeResponse) {
      return InvalidArgument("expected the answer to a challenge, other parameters came");
    }
    return Step(call, request.challenge_response());
  }

  Result<Next> Answer(Call&, agent_pb::AttestAgentResponse* response) override {
    if (!answer_) return done_ ? Next::kFinish : Next::kRead;
    *response = std::move(*answer_);
    answer_.reset();
    return Next::kSend;
  }

  Status OnRequestsDone() override {
    return InvalidArgument(
        "failed to receive request from stream: it ended before the attestation did");
  }

 private:
  Status Step(Call& call, const std::string& payload) {
    AttestationStep step = TRY(attestation_->Next(payload));
    answer_.emplace();
    if (!step.node) {
      answer_->set_challenge(std::move(step.challenge));
      return OkStatus();
    }
    const AttestedNode& node = *step.node;
    IssuedX509 svid = TRY(issuer_->IssueAgentX509(X509Request{.id = node.id, .key = node.key},
                                                  call.caller.actor, [&](const IssuedX509& issued) {
                                                    return attestor_->CommitNode(
                                                        node, issued.serial, issued.not_after);
                                                  }));
    agent_pb::AttestAgentResponse::Result* result = answer_->mutable_result();
    ToProto(svid, result->mutable_svid());
    result->set_reattestable(node.verdict.may_reattest);
    done_ = true;
    return OkStatus();
  }

  const Attestor* const attestor_;            // borrowed
  Issuer* const issuer_;                      // borrowed
  std::unique_ptr<Attestation> attestation_;  // since the first request
  std::optional<agent_pb::AttestAgentResponse> answer_;
  bool done_ = false;
};

}  // namespace

std::unique_ptr<AgentApi::Attest> AgentApi::AttestAgent() {
  return std::make_unique<AttestStream>(attestor_, issuer_);
}

}  // namespace writ
