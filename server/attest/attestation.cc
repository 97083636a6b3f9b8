// SPDX-License-Identifier: Apache-2.0
#include "server/attest/attestation.h"

#include <utility>

#include "core/base/bytes.h"
#include "core/crypto/csr.h"
#include "server/attest/agent_gate.h"

namespace writ {
namespace {

Status BannedAgent(const SpiffeId& id) {
  return DenyAgent(AgentDenial::kBanned, "failed to attest: agent is banned (" + id.text() + ")");
}

}  // namespace

Attestation::Attestation(const TrustDomain& td, const Registry* registry, std::string type,
                         PublicKey key, std::unique_ptr<NodeVerifier> verifier)
    : td_(td),
      registry_(registry),
      type_(std::move(type)),
      key_(std::move(key)),
      verifier_(std::move(verifier)) {}

Result<AttestationStep> Attestation::Next(std::string_view response) {
  if (response.size() > kAttestationPayloadBytesMax) {
    return InvalidArgument("the attestation message has " + std::to_string(response.size()) +
                           " bytes, expected at most " +
                           std::to_string(kAttestationPayloadBytesMax));
  }
  if (++rounds_ > kAttestationRoundsMax) {
    return InvalidArgument("the attestation took more than " +
                           std::to_string(kAttestationRoundsMax) + " rounds");
  }
  NodeStep step = TRY(verifier_->Next(response));
  AttestationStep next;
  if (step.verdict == nullptr) {
    next.challenge = std::move(step.challenge);
  } else {
    next.node = TRY(Conclude(std::move(*step.verdict)));
  }
  return next;
}

Result<AttestedNode> Attestation::Conclude(NodeVerdict verdict) {
  SpiffeId id = TRY(SpiffeId::FromPath(td_, "/spire/agent/" + verdict.agent_path),
                    "the node attestor gave no valid agent ID");
  std::optional<Agent> known = registry_->GetAgent(id.text());
  if (known && known->banned) return BannedAgent(id);
  // A path template may let a node choose words of its path: never those of another method's agent.
  if (known && known->attestation_type != type_) {
    return PermissionDenied("agent \"" + id.text() + "\" attested by " +
                            known->attestation_type + ": evict it before it attests by " + type_);
  }
  return AttestedNode{std::move(id), key_, type_, std::move(verdict)};
}

Result<std::unique_ptr<Attestation>> Attestor::Begin(std::string_view type,
                                                     std::string_view csr,
                                                     const std::string& address) const {
  NodeVerifierFactory* factory = verifiers_->Find(type);
  if (factory == nullptr) {
    return FailedPrecondition("error getting node attestor: could not find node attestor type \"" +
                              Printable(type) + "\"");
  }
  Csr request = TRY(ParseCsr(csr, {.malformed = "failed to parse CSR"}));
  return std::make_unique<Attestation>(td_, registry_, std::string(type), std::move(request.key),
                                       factory->Begin(address));
}

Status Attestor::CommitNode(const AttestedNode& node, const Serial& serial, Time not_after) const {
  Agent agent{.id = node.id,
              .attestation_type = node.type,
              .serial = serial.ToDecimal(),
              .not_after = ToUnixSeconds(not_after),
              .may_reattest = node.verdict.may_reattest,
              .selectors = node.verdict.selectors,
              .attested_at = ToUnixSeconds(clock_->Now())};
  Status status = store_->CommitAttestation(agent, node.verdict.join_token, clock_->Now());
  // A ban that came between the verdict and this transaction.
  if (status.code() == Code::kPermissionDenied) return BannedAgent(node.id);
  return status;
}

Status Attestor::CheckRenewal(const SpiffeId& id) const {
  std::optional<Agent> agent = registry_->GetAgent(id.text());
  if (!agent) return NotFound("agent not found");
  if (agent->may_reattest) {
    return DenyAgent(AgentDenial::kMustReattest, "agent must reattest instead of renew");
  }
  return OkStatus();
}

Status Attestor::CommitRenewal(const SpiffeId& id, const Serial& serial, Time not_after) const {
  Result<Agent> edited = store_->Edit(id.text(), [&](Agent& agent) -> Status {
    if (agent.banned) return BannedAgent(id);
    agent.pending_serial = serial.ToDecimal();
    agent.pending_not_after = ToUnixSeconds(not_after);
    return OkStatus();
  });
  if (edited.ok()) return OkStatus();
  if (edited.code() == Code::kNotFound) return NotFound("agent not found");
  return edited.status();
}

}  // namespace writ
