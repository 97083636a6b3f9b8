// SPDX-License-Identifier: Apache-2.0
#include "cli/why_text.h"

#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "cli/output.h"
#include "core/base/bytes.h"

namespace writ {
namespace {

constexpr size_t kLineBytesMax = 16 << 10;  // an entry may have many selectors

std::string Line(const std::string& text) { return Printable(text, kLineBytesMax); }

std::vector<std::string> Texts(const google::protobuf::RepeatedPtrField<std::string>& texts) {
  return {texts.begin(), texts.end()};
}

Json TextsJson(const google::protobuf::RepeatedPtrField<std::string>& texts) {
  Json list = Json::MakeArray();
  for (const std::string& text : texts) list.Add(text);
  return list;
}

void PrintAdvice(std::ostream& out,
                 const google::protobuf::RepeatedPtrField<std::string>& advice) {
  if (advice.empty()) return;
  out << "\nWhat to do\n";
  for (const std::string& line : advice) out << "  - " << Line(line) << '\n';
}

std::string AttestorsText(const v1::ExplainWorkloadResponse& answer) {
  std::vector<std::string> texts;
  for (const v1::AttestorResult& attestor : answer.attestors()) {
    texts.push_back(attestor.name() + (attestor.error().empty()
                                           ? " (" + std::to_string(attestor.selectors_size()) +
                                                 " selectors)"
                                           : " (failed: " + attestor.error() + ")"));
  }
  return Joined(texts);
}

// A workload is not told who its agent is.
std::string AgentText(const v1::AgentState& agent, Time now) {
  const std::string& id = agent.spiffe_id();
  const std::string& problem = agent.problem();
  if (id.empty()) return problem.empty() ? "in step with the server" : problem;
  return id + "; " + (problem.empty() ? "SVID ends " + TimeText(agent.expires_at(), now) : problem);
}

std::string StandingText(const v1::AgentStanding& agent, Time now) {
  std::string text = agent.banned() ? "banned" : agent.expired() ? "expired" : "alive";
  return text + "; SVID ends " + TimeText(agent.expires_at(), now);
}

Json StandingJson(const v1::AgentStanding& agent) {
  Json json = Json::MakeObject();
  json.Set("spiffe_id", agent.spiffe_id());
  json.Set("banned", agent.banned());
  json.Set("expired", agent.expired());
  json.Set("expires_at", agent.expires_at());
  json.Set("agent_version", agent.agent_version());
  return json;
}

void PrintEntry(std::ostream& out, const v1::IdentityEntry& entry, Time now) {
  std::vector<std::pair<std::string, std::string>> fields = {
      {"Entry", entry.entry_id()},
      {"Parent", entry.parent_id()},
      {"Selectors", Joined(Texts(entry.selectors()))}};
  for (const v1::AgentStanding& agent : entry.agents()) {
    fields.emplace_back("Agent", agent.spiffe_id() + " (" + StandingText(agent, now) + ")");
  }
  if (entry.more_agents()) fields.emplace_back("Agent", "and more");
  for (const std::string& obstacle : entry.obstacles()) fields.emplace_back("Obstacle", obstacle);
  out << '\n';
  PrintFields(out, fields);
}

}  // namespace

void PrintWorkload(std::ostream& out, const v1::ExplainWorkloadResponse& answer, Time now) {
  const v1::Refusal& refusal = answer.refusal();
  PrintFields(
      out, {{"Process", std::to_string(answer.pid()) + " (uid " + std::to_string(answer.uid()) +
                            ", gid " + std::to_string(answer.gid()) + ")"},
            {"Refused", answer.has_refusal()
                            ? refusal.method() + ", " + TimeText(refusal.at(), now)
                            : std::string()},
            {"Agent", AgentText(answer.agent(), now)},
            {"Attestors", AttestorsText(answer)}});
  out << "\nSelectors found\n";
  bool any = false;
  for (const v1::AttestorResult& attestor : answer.attestors()) {
    for (const std::string& selector : attestor.selectors()) {
      out << "  " << Line(selector) << '\n';
      any = true;
    }
  }
  if (!any) out << "  none\n";
  out << "\nIdentities\n";
  if (answer.identities().empty()) out << "  none: no entry matches\n";
  for (const v1::IssuedIdentity& identity : answer.identities()) {
    out << "  " << Line(identity.spiffe_id()) << " (entry " << Line(identity.entry_id())
        << "; X.509-SVID "
        << (identity.x509_expires_at() == 0
                ? "not issued yet"
                : "ends " + TimeText(identity.x509_expires_at(), now))
        << ")\n";
  }
  if (!answer.nearest().empty()) out << "\nEntries that came closest\n";
  for (const v1::NearEntry& near : answer.nearest()) {
    out << "  " << Line(near.spiffe_id()) << "\n    " << Line(near.why()) << '\n';
  }
  PrintAdvice(out, answer.advice());
}

Json WorkloadJson(const v1::ExplainWorkloadResponse& answer) {
  Json json = Json::MakeObject();
  json.Set("pid", static_cast<int64_t>(answer.pid()));
  json.Set("uid", static_cast<int64_t>(answer.uid()));
  json.Set("gid", static_cast<int64_t>(answer.gid()));
  if (answer.has_refusal()) {
    Json refusal = Json::MakeObject();
    refusal.Set("id", answer.refusal().id());
    refusal.Set("method", answer.refusal().method());
    refusal.Set("at", answer.refusal().at());
    json.Set("refusal", std::move(refusal));
  }
  Json attestors = Json::MakeArray();
  for (const v1::AttestorResult& result : answer.attestors()) {
    Json attestor = Json::MakeObject();
    attestor.Set("name", result.name());
    attestor.Set("error", result.error());
    attestor.Set("selectors", TextsJson(result.selectors()));
    attestors.Add(std::move(attestor));
  }
  json.Set("attestors", std::move(attestors));
  Json agent = Json::MakeObject();
  agent.Set("spiffe_id", answer.agent().spiffe_id());
  agent.Set("problem", answer.agent().problem());
  agent.Set("expires_at", answer.agent().expires_at());
  agent.Set("entries", answer.agent().entries());
  json.Set("agent", std::move(agent));
  Json identities = Json::MakeArray();
  for (const v1::IssuedIdentity& issued : answer.identities()) {
    Json identity = Json::MakeObject();
    identity.Set("spiffe_id", issued.spiffe_id());
    identity.Set("entry_id", issued.entry_id());
    identity.Set("x509_expires_at", issued.x509_expires_at());
    identities.Add(std::move(identity));
  }
  json.Set("identities", std::move(identities));
  Json nearest = Json::MakeArray();
  for (const v1::NearEntry& near : answer.nearest()) {
    Json entry = Json::MakeObject();
    entry.Set("entry_id", near.entry_id());
    entry.Set("spiffe_id", near.spiffe_id());
    entry.Set("parent_id", near.parent_id());
    entry.Set("selectors", TextsJson(near.selectors()));
    entry.Set("missing", TextsJson(near.missing()));
    entry.Set("why", near.why());
    nearest.Add(std::move(entry));
  }
  json.Set("nearest", std::move(nearest));
  json.Set("advice", TextsJson(answer.advice()));
  return json;
}

void PrintIdentity(std::ostream& out, const v1::ExplainIdentityResponse& answer, Time now) {
  PrintFields(out, {{"SPIFFE ID", answer.spiffe_id()},
                    {"Entries", std::to_string(answer.entries_size()) +
                                    (answer.more_entries() ? " and more" : "")},
                    {"Agent", answer.has_as_agent() ? StandingText(answer.as_agent(), now)
                                                    : std::string()}});
  for (const v1::IdentityEntry& entry : answer.entries()) PrintEntry(out, entry, now);
  PrintAdvice(out, answer.advice());
}

Json IdentityJson(const v1::ExplainIdentityResponse& answer) {
  Json json = Json::MakeObject();
  json.Set("spiffe_id", answer.spiffe_id());
  Json entries = Json::MakeArray();
  for (const v1::IdentityEntry& entry : answer.entries()) {
    Json item = Json::MakeObject();
    item.Set("entry_id", entry.entry_id());
    item.Set("parent_id", entry.parent_id());
    item.Set("selectors", TextsJson(entry.selectors()));
    Json agents = Json::MakeArray();
    for (const v1::AgentStanding& agent : entry.agents()) agents.Add(StandingJson(agent));
    item.Set("agents", std::move(agents));
    item.Set("more_agents", entry.more_agents());
    item.Set("obstacles", TextsJson(entry.obstacles()));
    item.Set("node_alias", entry.node_alias());
    entries.Add(std::move(item));
  }
  json.Set("entries", std::move(entries));
  json.Set("more_entries", answer.more_entries());
  if (answer.has_as_agent()) json.Set("agent", StandingJson(answer.as_agent()));
  json.Set("advice", TextsJson(answer.advice()));
  return json;
}

}  // namespace writ
