// SPDX-License-Identifier: Apache-2.0
#include "server/api/why_api.h"

#include <algorithm>
#include <deque>
#include <iterator>
#include <optional>

namespace writ {
namespace {

// Why an agent that stands above an entry gives its workloads nothing, or nothing.
std::optional<std::string> ObstacleOf(const v1::AgentStanding& agent) {
  if (agent.banned()) return "agent " + agent.spiffe_id() + " is banned";
  if (agent.expired()) {
    return "agent " + agent.spiffe_id() + " has let its SVID end at " +
           FormatTime(FromUnixSeconds(agent.expires_at())) + ": it is not running, or does not "
           "reach this server";
  }
  return std::nullopt;
}

}  // namespace

// One of many agents of an alias's kind.
void WhyApi::AddAliasAgents(const Entry& alias, Ancestry& above) const {
  const size_t room = kWhyAgentsMax + 1;
  const std::vector<Agent> agents = registry_->ListAgents(
      {.selectors = std::pair(alias.selectors, SelectorMatch::kSuperset)}, "", room);
  for (const Agent& agent : agents) above.agents.insert(agent.id.text());
  if (agents.empty()) {
    above.gaps.push_back("no attested agent has all selectors of the node alias " + alias.id);
  }
}

// Upwards from the entry, by the rules of who is authorized for it; each parent once.
WhyApi::Ancestry WhyApi::Climb(const Entry& entry, Time now) const {
  Ancestry above;
  std::set<std::string> seen;
  std::deque<SpiffeId> parents{entry.parent_id};
  while (!parents.empty() && seen.size() < kWhyParentsMax) {
    const SpiffeId parent = std::move(parents.front());
    parents.pop_front();
    if (!seen.insert(parent.text()).second) continue;
    const bool is_agent = registry_->GetAgent(parent.text()).has_value();
    if (is_agent) above.agents.insert(parent.text());
    const std::vector<Entry> holders = registry_->EntriesOfId(parent);
    for (const Entry& holder : holders) {
      if (holder.ExpiredAt(now)) {
        above.gaps.push_back("the entry " + holder.id + ", which gives out its parent " +
                             parent.text() + ", has expired");
      } else if (holder.parent_id == ServerId(td_)) {
        AddAliasAgents(holder, above);
      } else {
        parents.push_back(holder.parent_id);
      }
    }
    if (is_agent || !holders.empty()) continue;
    above.gaps.push_back(parent.IsAgent()
                             ? "no agent " + parent.text() + " is attested"
                             : "its parent " + parent.text() +
                                   " is neither an agent's ID nor given out by an entry");
  }
  while (above.agents.size() > kWhyAgentsMax) {
    above.agents.erase(std::prev(above.agents.end()));
    above.more_agents = true;
  }
  return above;
}

void WhyApi::AddAgent(const Agent& agent, Time now, v1::AgentStanding& out) {
  out.set_spiffe_id(agent.id.text());
  out.set_banned(agent.banned);
  const int64_t expires_at = std::max(agent.not_after, agent.pending_not_after);
  out.set_expires_at(expires_at);
  out.set_expired(expires_at < ToUnixSeconds(now));
  out.set_agent_version(agent.agent_version);
}

void WhyApi::AddEntry(const Entry& entry, Time now, v1::IdentityEntry& out) const {
  out.set_entry_id(entry.id);
  out.set_parent_id(entry.parent_id.text());
  for (const Selector& selector : entry.selectors) out.add_selectors(selector.text());
  if (entry.parent_id == ServerId(td_)) {
    out.add_obstacles("it is a node alias: it groups agents under " + entry.spiffe_id.text() +
                      " and is given to no workload");
    return;
  }
  if (entry.ExpiredAt(now)) {
    out.add_obstacles("it expired at " + FormatTime(FromUnixSeconds(entry.expires_at)));
  }
  if (entry.store_svid) {
    out.add_obstacles("it is for a secret store (store_svid), not for the Workload API");
  }
  const Ancestry above = Climb(entry, now);
  bool served = false;
  std::vector<std::string> troubles;
  for (const std::string& id : above.agents) {
    const std::optional<Agent> agent = registry_->GetAgent(id);
    if (!agent) continue;  // gone since
    AddAgent(*agent, now, *out.add_agents());
    std::optional<std::string> obstacle = ObstacleOf(out.agents(out.agents_size() - 1));
    served |= !obstacle;
    if (obstacle) troubles.push_back(*std::move(obstacle));
  }
  out.set_more_agents(above.more_agents);
  // A gap or a lost agent is none of our business while another way leads to a living agent.
  if (served) return;
  for (const std::string& gap : above.gaps) out.add_obstacles(gap);
  for (const std::string& trouble : troubles) out.add_obstacles(trouble);
}

std::vector<std::string> WhyApi::AdviceFor(const v1::ExplainIdentityResponse& response) {
  if (response.has_as_agent()) {
    const std::optional<std::string> obstacle = ObstacleOf(response.as_agent());
    if (!obstacle) return {};
    return {response.as_agent().banned()
                ? "The agent is banned: evict it (`writ agent evict`) to let it attest again."
                : "Look at the agent's log on its node; it attests anew by itself if it can."};
  }
  if (response.entries().empty()) {
    return {"No entry gives it out: `writ entry create --spiffe-id " + response.spiffe_id() +
            " --parent-id AGENT --selector TYPE:VALUE`; check the spelling with `writ entry "
            "list`."};
  }
  std::vector<std::string> advice;
  bool open = false;
  for (const v1::IdentityEntry& entry : response.entries()) {
    open |= entry.obstacles().empty();
    if (entry.obstacles().empty()) continue;
    advice.push_back("Entry " + entry.entry_id() + ": " + entry.obstacles(0) + ".");
  }
  if (open) {
    advice.push_back("A workload of a listed agent gets the ID when it has all selectors of the "
                     "entry: `writ why --pid N` on the agent's node compares them.");
  }
  return advice;
}

Result<v1::ExplainIdentityResponse> WhyApi::ExplainIdentity(
    Call&, const v1::ExplainIdentityRequest& request) {
  const SpiffeId id = TRY(SpiffeId::Parse(request.spiffe_id()), "spiffe_id");
  if (!id.MemberOf(td_)) {
    return InvalidArgument("spiffe_id: \"" + id.text() +
                           "\" is not in this server's trust domain \"" + td_.name() + "\"");
  }
  const Time now = clock_->Now();
  v1::ExplainIdentityResponse response;
  response.set_spiffe_id(id.text());
  if (const std::optional<Agent> agent = registry_->GetAgent(id.text())) {
    AddAgent(*agent, now, *response.mutable_as_agent());
  }
  for (const Entry& entry : registry_->EntriesOfId(id)) {
    if (static_cast<size_t>(response.entries_size()) == kWhyEntriesMax) {
      response.set_more_entries(true);
      break;
    }
    AddEntry(entry, now, *response.add_entries());
  }
  for (std::string& line : AdviceFor(response)) response.add_advice(std::move(line));
  return response;
}

}  // namespace writ
