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
  const bool more_agents = PruneAgents(now);
  const bool more_entries = PruneEntries(now);
  return now + (more_agents || more_entries ? kGoOnAfter : kPruneEvery);
}

bool Pruning::PruneAgents(Time now) const {
  PruneRule rule{.tokens_before = now,
                 .non_reattestable = needs_.non_reattestable,
                 .limit = kPrunedPerStepMax};
  if (needs_.agents_expired_for > Duration::zero()) {
    rule.agents_before = now - needs_.agents_expired_for;
  }
  const Result<Pruned> pruned = needs_.agents->Prune(rule);
  if (!pruned.ok()) {
    needs_.log->Warn("cannot delete expired join tokens and agents", {{"error", pruned.status()}});
    return false;
  }
  if (pruned->tokens > 0) {
    needs_.log->Info("deleted expired join tokens", {{"count", pruned->tokens}});
  }
  Record("agent", pruned->agents);
  return pruned->tokens == kPrunedPerStepMax || pruned->agents.size() == kPrunedPerStepMax;
}

bool Pruning::PruneEntries(Time now) const {
  const Result<std::vector<std::string>> deleted = needs_.entries->Prune(now, kPrunedPerStepMax);
  if (!deleted.ok()) {
    needs_.log->Warn("cannot delete expired entries", {{"error", deleted.status()}});
    return false;
  }
  Record("entry", *deleted);
  return deleted->size() == kPrunedPerStepMax;
}

void Pruning::Record(const std::string& what, const std::vector<std::string>& deleted) const {
  if (deleted.empty()) return;
  needs_.log->Info("deleted what has expired", {{"what", what}, {"count", deleted.size()}});
  std::vector<AuditEvent> events;
  for (const std::string& id : deleted) {
    events.push_back(
        {.action = what + ".prune", .outcome = "ok", .actor = "server", .subject = id});
  }
  const Status recorded = needs_.audit->Append(events);
  if (recorded.ok()) return;
  needs_.log->Error("cannot record in the audit log what was deleted because it has expired",
                    {{"what", what}, {"error", recorded}});
}

}  // namespace writ
