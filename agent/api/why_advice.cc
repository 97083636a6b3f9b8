// SPDX-License-Identifier: Apache-2.0
#include "agent/api/why_advice.h"

#include <algorithm>

namespace writ {
namespace {

using Response = v1::ExplainWorkloadResponse;
using Advice = std::vector<std::string>;

// A selector that this process would match: its user, or what else there is.
std::string SelectorFlag(const Response& answer) {
  std::string first;
  for (const v1::AttestorResult& attestor : answer.attestors()) {
    for (const std::string& selector : attestor.selectors()) {
      if (selector.find(":uid:") != std::string::npos) return " --selector " + selector;
      if (first.empty()) first = " --selector " + selector;
    }
  }
  return first.empty() ? " --selector TYPE:VALUE" : first;
}

std::string CreateCommand(const Response& answer, const std::string& parent) {
  return "`writ entry create --parent-id " + (parent.empty() ? "AGENT" : parent) +
         " --spiffe-id ID" + SelectorFlag(answer) + "` on the server";
}

// The agent sees what the server gave it; what more the server knows, an operator asks there.
std::string ServerView(const Response& answer) {
  const std::string& agent = answer.agent().spiffe_id();
  const std::string standing =
      agent.empty() ? "" : "`writ why --spiffe-id " + agent + "` says how this agent stands, and ";
  const std::string says = agent.empty() ? "` says which agents get " : "` which agents get ";
  const std::string before = "What the server knows: on the server, " + standing;
  if (answer.nearest().empty()) {
    return before + "`writ why --spiffe-id ID" + says + "the ID that you expect.";
  }
  return before + "`writ why --spiffe-id " + answer.nearest(0).spiffe_id() + says +
         "the ID of the entry that came closest; ask likewise about one that you expect and that "
         "is not listed.";
}

void AddTroubles(const Response& answer, Advice& advice) {
  if (!answer.agent().problem().empty()) {
    advice.push_back("See to the agent first: " + answer.agent().problem() + ".");
  }
  for (const v1::AttestorResult& attestor : answer.attestors()) {
    if (attestor.error().empty()) continue;
    advice.push_back("The attestor " + attestor.name() +
                     " failed, so its selectors are missing: " + attestor.error() + ".");
  }
}

// For a process that has some.
void AddForIdentities(const Response& answer, Advice& advice) {
  for (const v1::IssuedIdentity& identity : answer.identities()) {
    if (identity.x509_expires_at() != 0) continue;
    advice.push_back("The X.509-SVID of " + identity.spiffe_id() +
                     " is not here yet: it is fetched when a workload asks for it; if it does not "
                     "come, the agent's log says why.");
  }
  if (answer.has_refusal()) {
    advice.push_back("An entry matches by now: the workload gets its identity when it asks again.");
  }
}

// How a process that matches no entry comes to one.
void AddForEntries(const Response& answer, const std::vector<NearEntry>& nearest,
                   const std::string& parent, Advice& advice) {
  const std::string create = CreateCommand(answer, parent) + ".";
  if (nearest.empty()) {
    advice.push_back("The server has no entries for this agent: create one, " + create);
    return;
  }
  for (const NearEntry& near : nearest) {
    if (!near.remedy.empty()) advice.push_back(near.remedy);
  }
  const bool lacks_selectors = std::ranges::any_of(
      nearest, [](const NearEntry& near) { return !near.missing.empty(); });
  advice.push_back(lacks_selectors
                       ? "Change the entry or the process so that each selector of the entry is "
                         "one of the process, or create an entry: " + create
                       : "Or create another entry: " + create);
}

}  // namespace

Advice AdviceForOperator(const Response& answer, const std::vector<NearEntry>& nearest,
                         const std::string& parent) {
  Advice advice;
  AddTroubles(answer, advice);
  const bool in_trouble = !answer.agent().problem().empty();
  if (!answer.identities().empty()) {
    AddForIdentities(answer, advice);
    if (in_trouble) advice.push_back(ServerView(answer));
    return advice;
  }
  // An agent that has never been in step knows of no entries, not even whether there are any.
  if (!in_trouble || !nearest.empty()) AddForEntries(answer, nearest, parent, advice);
  advice.push_back(ServerView(answer));
  return advice;
}

Advice AdviceForWorkload(const Response& answer) {
  Advice advice;
  AddTroubles(answer, advice);
  if (!answer.identities().empty()) {
    AddForIdentities(answer, advice);
    return advice;
  }
  // Without a refusal it is about the process that asks, which is gone when an operator looks.
  const std::string question =
      answer.has_refusal()
          ? "`writ why --id " + answer.refusal().id() + "`"
          : "`writ why --id ID` with the ID of a refusal, or `writ why --pid N`,";
  const std::string known =
      answer.agent().problem().empty() ? "No entry has only selectors of this process. " : "";
  advice.push_back(known + "An operator sees the entries that came closest: " + question +
                   " as one who may use the agent's admin socket.");
  return advice;
}

}  // namespace writ
