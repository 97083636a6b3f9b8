// SPDX-License-Identifier: Apache-2.0
#include "server/api/why_api.h"

#include <algorithm>
#include <deque>
#include <iterator>

namespace writ {
namespace {

constexpr char kJoinTokenPath[] = "/spire/agent/join_token/";

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

std::string Update(const std::string& entry_id) { return "`writ entry update --id " + entry_id; }

}  // namespace

// Why an agent that stands above an entry gives its workloads nothing, or nothing.
std::optional<WhyApi::Obstacle> WhyApi::ObstacleOf(const v1::AgentStanding& agent) {
  const std::string& id = agent.spiffe_id();
  if (agent.banned()) {
    return Obstacle{"agent " + id + " is banned",
                    "if the ban is to end, evict the agent, so that it may attest again: `writ "
                    "agent evict --spiffe-id " + id + "`"};
  }
  if (!agent.expired()) return std::nullopt;
  std::string remedy = "look at the log of agent " + id +
                       " on its node: one that runs and reaches this server renews its SVID";
  if (id.find(kJoinTokenPath) != std::string::npos) {
    remedy += "; one that has slept too long needs a new join token: `writ token create`";
  }
  return Obstacle{"agent " + id + " has let its SVID end at " +
                      FormatTime(FromUnixSeconds(agent.expires_at())) +
                      ": it is not running, or does not reach this server",
                  std::move(remedy)};
}

// No agent has the ID, and no entry gives it out. `child`: an entry whose parent it is.
WhyApi::Obstacle WhyApi::GapAt(const SpiffeId& parent, const Entry& child) {
  const std::string move_below = Update(child.id) + " --parent-id ";
  if (!parent.IsAgent()) {
    return {"its parent " + parent.text() + " is neither an agent's ID nor given out by an entry",
            "put the entry below an agent (`writ agent list`) or a node alias (`writ entry list`): "
                + move_below + "PARENT`"};
  }
  if (!parent.path().starts_with(kJoinTokenPath)) {
    return {"no agent " + parent.text() + " is attested",
            "let that node attest, or put the entry below an agent that has (`writ agent list`): "
                + move_below + "AGENT`"};
  }
  const std::string anew = "start the agent with that token; if it is used or has expired, make "
                           "another: `writ token create --spiffe-id ";
  return {"no agent " + parent.text() +
              " is attested: its join token is not used yet, or the agent was evicted",
          child.ForNodes()
              ? anew + child.spiffe_id.text() + "`"
              : anew + "ALIAS`, and put the entry below its alias: " + move_below + "ALIAS`"};
}

WhyApi::Obstacle WhyApi::Expired(const Entry& entry, const std::string& what) {
  return {what, "if it is still due, give it a later end before it is deleted, within a minute: " +
                    Update(entry.id) + " --expires-at TIME` (0: none)"};
}

std::vector<std::string> WhyApi::AdviceForEntry(const v1::ExplainIdentityResponse& answer,
                                                const v1::IdentityEntry& entry,
                                                const std::vector<Obstacle>& obstacles) {
  const std::string name = "Entry " + entry.entry_id();
  std::vector<std::string> advice;
  if (entry.node_alias() && !entry.agents().empty()) {
    advice.push_back(name + " is a node alias: no workload gets its ID. Make it the parent of "
                            "entries for the agents listed: `writ entry create --parent-id " +
                     answer.spiffe_id() + " --spiffe-id ID --selector TYPE:VALUE`.");
  }
  // The first of an alias's is that it is one.
  const size_t first = entry.node_alias() ? 1 : 0;
  if (obstacles.size() > first) {
    advice.push_back(name + ": " + obstacles[first].what + "; " + obstacles[first].remedy + ".");
  }
  return advice;
}

// One of many agents of an alias's kind.
void WhyApi::AddAliasAgents(const Entry& alias, Ancestry& above) const {
  const size_t room = kWhyAgentsMax + 1;
  const std::vector<Agent> agents = registry_->ListAgents(
      {.selectors = std::pair(alias.selectors, SelectorMatch::kSuperset)}, kFromTheFirst, room);
  for (const Agent& agent : agents) above.agents.insert(agent.id.text());
  if (agents.empty()) {
    above.gaps.push_back({"no attested agent has all selectors of the node alias " + alias.id,
                          "`writ agent show --spiffe-id AGENT` shows those of an agent, and " +
                              Update(alias.id) + " --selector TYPE:VALUE` changes the alias's"});
  }
}

// Upwards from the entry, by the rules of who is authorized for it; each parent once.
WhyApi::Ancestry WhyApi::Climb(const Entry& entry, Time now) const {
  Ancestry above;
  std::set<std::string> seen;
  std::deque<Entry> children{entry};  // whose parents are still to be looked at
  while (!children.empty() && seen.size() < kWhyParentsMax) {
    const Entry child = std::move(children.front());
    const SpiffeId& parent = child.parent_id;
    children.pop_front();
    if (!seen.insert(parent.text()).second) continue;
    const bool is_agent = registry_->GetAgent(parent.text()).has_value();
    if (is_agent) above.agents.insert(parent.text());
    const std::vector<Entry> holders = registry_->EntriesOfId(parent);
    for (const Entry& holder : holders) {
      if (holder.ExpiredAt(now)) {
        above.gaps.push_back(Expired(holder, "the entry " + holder.id +
                                                 ", which gives out its parent " + parent.text() +
                                                 ", has expired"));
      } else if (holder.parent_id == ServerId(td_)) {
        AddAliasAgents(holder, above);
      } else {
        children.push_back(holder);
      }
    }
    if (!is_agent && holders.empty()) above.gaps.push_back(GapAt(parent, child));
  }
  if (children.empty() && above.agents.empty() && above.gaps.empty()) {
    above.gaps.push_back({"its parents lead round in a circle and never to an agent",
                          "give an entry of " + entry.parent_id.text() +
                              " an agent's ID as its parent (`writ agent list`): `writ entry "
                              "update --id ENTRY --parent-id AGENT`"});
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
std::vector<WhyApi::Obstacle> WhyApi::AddAgents(const Ancestry& above, Time now,
                                                v1::IdentityEntry& out) const {
  bool served = false;
  std::vector<Obstacle> troubles;
  for (const std::string& id : above.agents) {
    if (static_cast<size_t>(out.agents_size()) == kWhyAgentsMax) {
      out.set_more_agents(true);
      break;
    }
    const std::optional<Agent> agent = registry_->GetAgent(id);
    if (!agent) continue;  // gone since
    AddAgent(*agent, now, *out.add_agents());
    std::optional<Obstacle> obstacle = ObstacleOf(out.agents(out.agents_size() - 1));
    served |= !obstacle;
    if (obstacle) troubles.push_back(*std::move(obstacle));
  }
  // A gap or a lost agent is none of our business while another way leads to a living agent.
  if (served) return {};
  std::vector<Obstacle> obstacles = above.gaps;
  std::ranges::move(troubles, std::back_inserter(obstacles));
  return obstacles;
}

std::vector<WhyApi::Obstacle> WhyApi::AddEntry(const Entry& entry, Time now,
                                               v1::IdentityEntry& out) const {
  out.set_entry_id(entry.id);
  out.set_parent_id(entry.parent_id.text());
  for (const Selector& selector : entry.selectors) out.add_selectors(selector.text());
  out.set_node_alias(entry.parent_id == ServerId(td_) || entry.ForNodes());
  std::vector<Obstacle> obstacles;
  if (out.node_alias()) {
    obstacles.push_back({"it is a node alias: it groups agents under " + entry.spiffe_id.text() +
                             " and is given to no workload",
                         "make it the parent of entries for workloads"});
  }
  if (entry.ExpiredAt(now)) {
    obstacles.push_back(
        Expired(entry, "it expired at " + FormatTime(FromUnixSeconds(entry.expires_at))));
  }
  if (entry.store_svid) {
    obstacles.push_back({"it is for a secret store (store_svid), not for the Workload API",
                         "make an entry for workloads without --store-svid, or turn this into "
                         "one: " + Update(entry.id) + " --store-svid=false`"});
  }
  Ancestry above;
  if (entry.parent_id == ServerId(td_)) {
    AddAliasAgents(entry, above);
  } else {
    above = Climb(entry, now);
  }
  std::ranges::move(AddAgents(above, now, out), std::back_inserter(obstacles));
  for (const Obstacle& obstacle : obstacles) out.add_obstacles(obstacle.what);
  return obstacles;
}

std::vector<std::string> WhyApi::AdviceForAgent(const v1::AgentStanding& agent) {
  const std::optional<Obstacle> obstacle = ObstacleOf(agent);
  if (!obstacle) return {};
  return {"Agent " + agent.spiffe_id() + ": " + obstacle->remedy + "."};
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
  std::vector<std::string> advice;
  bool open = false;
  for (const Entry& entry : registry_->EntriesOfId(id)) {
    if (static_cast<size_t>(response.entries_size()) == kWhyEntriesMax) {
      response.set_more_entries(true);
      break;
    }
    v1::IdentityEntry& out = *response.add_entries();
    const std::vector<Obstacle> obstacles = AddEntry(entry, now, out);
    open |= obstacles.empty();
    std::ranges::move(AdviceForEntry(response, out, obstacles), std::back_inserter(advice));
  }
  if (open) {
    advice.push_back("A workload of a listed agent gets the ID when it has all selectors of the "
                     "entry: `writ why --pid N` on the agent's node compares them.");
  }
  if (response.has_as_agent()) advice = AdviceForAgent(response.as_agent());
  if (!response.has_as_agent() && response.entries().empty()) advice = {AdviceForNone(id)};
  for (std::string& line : advice) response.add_advice(std::move(line));
  return response;
}

}  // namespace writ
