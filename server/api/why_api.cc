// SPDX-License-Identifier: Apache-2.0
#include "server/api/why_api.h"

#include <algorithm>
#include <deque>
#include <iterator>
#include <optional>

namespace writ {
namespace {

constexpr char kJoinTokenPath[] = "/spire/agent/join_token/";

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

std::string NotAttested(const SpiffeId& agent) {
  return "no agent " + agent.text() + " is attested" +
         (agent.path().starts_with(kJoinTokenPath)
              ? ": its join token is not used yet, or the agent was evicted"
              : "");
}

// What to do about an ID that no entry gives out.
std::string AdviceForNone(const SpiffeId& id) {
  if (id.IsServer()) {
    return "It is this server's own: it presents it to agents, and no entry can give it out.";
  }
  if (id.IsAgent()) {
    return "It is an agent's, and no agent of this ID is attested: look for it with `writ agent "
           "list`; `writ token create` lets a node attest.";
  }
  if (id.IsReserved()) {
    return "IDs below /spire are for the server and its agents, and no entry can give one out: "
           "choose another path.";
  }
  if (id.path().empty()) {
    return "It is the trust domain's own: an entry gives out IDs with a path, such as " +
           id.text() + "/web.";
  }
  return "No entry gives it out: `writ entry create --spiffe-id " + id.text() +
         " --parent-id AGENT --selector TYPE:VALUE`; check the spelling with `writ entry list`.";
}

std::string AdviceForAlias(const SpiffeId& id, const v1::IdentityEntry& alias) {
  const std::string text =
      "Entry " + alias.entry_id() + " is a node alias: no workload gets its ID";
  if (alias.agents().empty() && alias.obstacles_size() > 1) {
    return text + ", and " + alias.obstacles(1) + ".";
  }
  return text +
         ". Make it the parent of entries for the agents listed: `writ entry create --parent-id " +
         id.text() + " --spiffe-id ID --selector TYPE:VALUE`.";
}

}  // namespace

// One of many agents of an alias's kind.
void WhyApi::AddAliasAgents(const Entry& alias, Ancestry& above) const {
  const size_t room = kWhyAgentsMax + 1;
  const std::vector<Agent> agents = registry_->ListAgents(
      {.selectors = std::pair(alias.selectors, SelectorMatch::kSuperset)}, kFromTheFirst, room);
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
                             ? NotAttested(parent)
                             : "its parent " + parent.text() +
                                   " is neither an agent's ID nor given out by an entry");
  }
  if (parents.empty() && above.agents.empty() && above.gaps.empty()) {
    above.gaps.push_back(
        "its parents lead round in a circle and never to an agent: give an entry of " +
        entry.parent_id.text() + " an agent's ID as its parent");
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

// The obstacles that these agents are, when none of them is alive.
std::vector<std::string> WhyApi::AddAgents(const Ancestry& above, Time now,
                                           v1::IdentityEntry& out) const {
  bool served = false;
  std::vector<std::string> troubles;
  for (const std::string& id : above.agents) {
    if (static_cast<size_t>(out.agents_size()) == kWhyAgentsMax) {
      out.set_more_agents(true);
      break;
    }
    const std::optional<Agent> agent = registry_->GetAgent(id);
    if (!agent) continue;  // gone since
    AddAgent(*agent, now, *out.add_agents());
    std::optional<std::string> obstacle = ObstacleOf(out.agents(out.agents_size() - 1));
    served |= !obstacle;
    if (obstacle) troubles.push_back(*std::move(obstacle));
  }
  // A gap or a lost agent is none of our business while another way leads to a living agent.
  if (served) return {};
  std::vector<std::string> obstacles = above.gaps;
  std::ranges::move(troubles, std::back_inserter(obstacles));
  return obstacles;
}

void WhyApi::AddEntry(const Entry& entry, Time now, v1::IdentityEntry& out) const {
  out.set_entry_id(entry.id);
  out.set_parent_id(entry.parent_id.text());
  for (const Selector& selector : entry.selectors) out.add_selectors(selector.text());
  out.set_node_alias(entry.parent_id == ServerId(td_) || entry.ForNodes());
  if (out.node_alias()) {
    out.add_obstacles("it is a node alias: it groups agents under " + entry.spiffe_id.text() +
                      " and is given to no workload");
  }
  if (entry.ExpiredAt(now)) {
    out.add_obstacles("it expired at " + FormatTime(FromUnixSeconds(entry.expires_at)));
  }
  if (entry.store_svid) {
    out.add_obstacles("it is for a secret store (store_svid), not for the Workload API");
  }
  Ancestry above;
  if (entry.parent_id == ServerId(td_)) {
    AddAliasAgents(entry, above);
  } else {
    above = Climb(entry, now);
  }
  for (std::string& obstacle : AddAgents(above, now, out)) out.add_obstacles(std::move(obstacle));
}

std::vector<std::string> WhyApi::AdviceFor(const SpiffeId& id,
                                           const v1::ExplainIdentityResponse& response) {
  if (response.has_as_agent()) {
    const std::optional<std::string> obstacle = ObstacleOf(response.as_agent());
    if (!obstacle) return {};
    return {response.as_agent().banned()
                ? "The agent is banned: evict it (`writ agent evict`) to let it attest again."
                : "Look at the agent's log on its node; it attests anew by itself if it can."};
  }
  if (response.entries().empty()) return {AdviceForNone(id)};
  std::vector<std::string> advice;
  bool open = false;
  for (const v1::IdentityEntry& entry : response.entries()) {
    open |= entry.obstacles().empty();
    if (entry.node_alias()) {
      advice.push_back(AdviceForAlias(id, entry));
      continue;
    }
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
  for (std::string& line : AdviceFor(id, response)) response.add_advice(std::move(line));
  return response;
}

}  // namespace writ
