// SPDX-License-Identifier: Apache-2.0
#include "server/attest/agent_gate.h"

#include <optional>
#include <string>
#include <utility>

namespace writ {
namespace {

std::string Named(const SpiffeId& id) { return "agent \"" + id.text() + "\""; }

Status NotAttested(const SpiffeId& id) {
  return DenyAgent(AgentDenial::kNotAttested, Named(id) + " is not attested");
}

Status Banned(const SpiffeId& id) {
  return DenyAgent(AgentDenial::kBanned, Named(id) + " is banned");
}

Status NotActive(const Agent& agent, const std::string& serial) {
  return DenyAgent(AgentDenial::kNotActive, Named(agent.id) + " expected to have serial number \"" +
                                                agent.serial + "\"; has \"" + serial + "\"");
}

}  // namespace

Status DenyAgent(AgentDenial why, std::string message) {
  return PermissionDenied(std::move(message)).WithReason(static_cast<int>(why));
}

Status AgentGate::Admit(const SpiffeId& id, const Certificate& leaf) const {
  if (leaf.not_after() < clock_->Now()) {
    return DenyAgent(AgentDenial::kExpired,
                     Named(id) + " SVID is expired since " + FormatTime(leaf.not_after()));
  }
  std::optional<Agent> agent = registry_->GetAgent(id.text());
  if (!agent) return NotAttested(id);
  if (agent->banned) return Banned(id);
  std::string serial = leaf.serial().ToDecimal();
  if (agent->serial == serial) return OkStatus();
  if (agent->pending_serial != serial) return NotActive(*agent, serial);
  return Promote(id, serial);
}

Status AgentGate::Promote(const SpiffeId& id, const std::string& serial) const {
  Result<Agent> edited = store_->Edit(id.text(), [&](Agent& agent) -> Status {
    if (agent.banned) return Banned(id);
    if (agent.serial == serial) return OkStatus();  // another call of this agent was first
    if (agent.pending_serial != serial) return NotActive(agent, serial);
    agent.serial = std::exchange(agent.pending_serial, "");
    agent.not_after = std::exchange(agent.pending_not_after, 0);
    return OkStatus();
  });
  if (edited.ok()) return OkStatus();
  if (edited.code() == Code::kNotFound) return NotAttested(id);
  return edited.status().Annotate("activate the new agent SVID");
}

}  // namespace writ
