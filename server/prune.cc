// SPDX-License-Identifier: Apache-2.0
#include "server/prune.h"

#include <vector>

namespace writ {
namespace {

constexpr Duration kPruneEvery = std::chrono::minutes(1);
constexpr Duration kGoOnAfter = std::chrono::seconds(1);

}  // namespace

Time Pruning::Step() {
  const Time now = needs_.clock->Now();
  PruneRule rule{.tokens_before = now,
                 .non_reattestable = needs_.non_reattestable,
                 .limit = kPrunedPerStepMax};
  if (needs_.agents_expired_for > Duration::zero()) {
    rule.agents_before = now - needs_.agents_expired_for;
  }
  const Result<Pruned> pruned = needs_.store->Prune(rule);
  if (!pruned.ok()) {
    needs_.log->Warn("cannot delete expired join tokens and agents", {{"error", pruned.status()}});
    return now + kPruneEvery;
  }
  Record(*pruned);
  const bool more =
      pruned->tokens == kPrunedPerStepMax || pruned->agents.size() == kPrunedPerStepMax;
  return now + (more ? kGoOnAfter : kPruneEvery);
}

void Pruning::Record(const Pruned& pruned) const {
  if (pruned.tokens > 0) {
    needs_.log->Info("deleted expired join tokens", {{"count", pruned.tokens}});
  }
  if (pruned.agents.empty()) return;
  needs_.log->Info("deleted expired agents", {{"count", pruned.agents.size()}});
  std::vector<AuditEvent> events;
  for (const std::string& id : pruned.agents) {
    events.push_back({.action = "agent.prune", .outcome = "ok", .actor = "server", .subject = id});
  }
  const Status recorded = needs_.audit->Append(events);
  if (recorded.ok()) return;
  needs_.log->Error("cannot record in the audit log which expired agents were deleted",
                    {{"error", recorded}});
}

}  // namespace writ
