// SPDX-License-Identifier: Apache-2.0
#include "server/entry/agent_index.h"

#include <utility>

#include "server/entry/match.h"

namespace writ {

// The selectors' uses are given back to the pool, which outlives the index.
AgentIndex::~AgentIndex() {
  for (const auto& [id, record] : agents_) pool_.Release(record.selectors);
}

void AgentIndex::Put(Agent agent) {
  Remove(agent.id.text());
  SelectorPool::Set selectors = pool_.Acquire(agent.selectors);
  agent.selectors = {};
  std::string id = agent.id.text();
  const auto at =
      agents_.emplace(std::move(id), Record{std::move(agent), std::move(selectors)}).first;
  by_age_.insert(&at->second);
}

void AgentIndex::Remove(std::string_view id) {
  auto it = agents_.find(id);
  if (it == agents_.end()) return;
  by_age_.erase(&it->second);
  pool_.Release(it->second.selectors);
  agents_.erase(it);
}

Agent AgentIndex::Build(const Record& record) {
  Agent agent = record.agent;
  agent.selectors = SelectorPool::Read(record.selectors);
  return agent;
}

std::optional<Agent> AgentIndex::Get(std::string_view id) const {
  auto it = agents_.find(id);
  if (it == agents_.end()) return std::nullopt;
  return Build(it->second);
}

const SelectorPool::Set& AgentIndex::SelectorsOf(std::string_view id) const {
  static const SelectorPool::Set kNone;
  auto it = agents_.find(id);
  return it == agents_.end() ? kNone : it->second.selectors;
}

void AgentIndex::Visit(const AgentFilter& filter, int64_t after,
                       const std::function<bool(const Record&)>& visit) const {
  bool all_known = true;
  SelectorPool::Set wanted;
  if (filter.selectors) wanted = pool_.Find(filter.selectors->first, &all_known);
  for (auto it = by_age_.upper_bound(after); it != by_age_.end(); ++it) {
    const Record& record = **it;
    const Agent& agent = record.agent;
    if (filter.attestation_type && agent.attestation_type != *filter.attestation_type) continue;
    if (filter.banned && agent.banned != *filter.banned) continue;
    if (filter.may_reattest && agent.may_reattest != *filter.may_reattest) continue;
    if (filter.expires_before && agent.not_after >= *filter.expires_before) continue;
    if (filter.selectors &&
        !MatchesSet(record.selectors, wanted, all_known, filter.selectors->second)) {
      continue;
    }
    if (!visit(record)) return;
  }
}

std::vector<Agent> AgentIndex::List(const AgentFilter& filter, int64_t after,
                                    size_t limit) const {
  std::vector<Agent> agents;
  if (limit == 0) return agents;
  Visit(filter, after, [&](const Record& record) {
    agents.push_back(Build(record));
    return agents.size() < limit;
  });
  return agents;
}

size_t AgentIndex::Count(const AgentFilter& filter) const {
  size_t count = 0;
  Visit(filter, kFromTheFirst, [&](const Record&) {
    ++count;
    return true;
  });
  return count;
}

}  // namespace writ
