// SPDX-License-Identifier: Apache-2.0
//
// writ agent: the nodes' agents as the server knows them. writ token: join tokens.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <ostream>

#include "cli/cli.h"
#include "cli/entry_text.h"
#include "cli/output.h"
#include "cli/rpc.h"
#include "spire/api/server/agent/v1/agent.grpc.pb.h"

namespace writ {
namespace {

namespace agentv1 = spire::api::server::agent::v1;
using agentv1::Agent;
using WireAgent = spire::api::types::Agent;

constexpr int kPageSize = 500;

struct FilterFlags {
  std::string attestation_type, expires_before;
  std::vector<std::string> selectors;
  bool banned = false, can_reattest = false;
  CLI::App* app = nullptr;

  bool Given(const std::string& flag) const { return app->count(flag) > 0; }
};

void AddFilterFlags(CLI::App* app, FilterFlags& flags) {
  flags.app = app;
  AddChecked(*app, "--attestation-type", flags.attestation_type,
             "Only those that attested by this, e.g. join_token", CheckNotEmpty);
  AddChecked(*app, "--selector", flags.selectors, "Only those that have it (repeat: all)",
             CheckSelector);
  app->add_flag("--banned", flags.banned, "Only banned ones; =false: only others");
  app->add_flag("--can-reattest", flags.can_reattest,
                "Only those that may attest anew with what they have; =false: only others");
  AddChecked(*app, "--expires-before", flags.expires_before,
             "Only those whose SVID ends before: Unix seconds or 2027-01-31T12:00:00Z", CheckTime);
}

// The API's own form: "2027-01-31 12:00:00 +0000 +00".
Result<std::string> ExpiresBefore(const std::string& text) {
  std::string time = FormatTime(FromUnixSeconds(TRY(UnixSeconds(text), "--expires-before")));
  std::ranges::replace(time, 'T', ' ');
  std::ranges::replace(time, 'Z', ' ');
  return time + "+0000 +00";
}

// ListAgents and CountAgents have the same filter, in two message types.
template <typename Filter>
Status FillFilter(const FilterFlags& flags, Filter& filter) {
  filter.set_by_attestation_type(flags.attestation_type);
  for (const std::string& text : flags.selectors) {
    auto* match = filter.mutable_by_selector_match();
    match->set_match(spire::api::types::SelectorMatch::MATCH_SUPERSET);
    *match->add_selectors() = TRY(SelectorMessage(text), "--selector");
  }
  if (flags.Given("--banned")) filter.mutable_by_banned()->set_value(flags.banned);
  if (flags.Given("--can-reattest")) {
    filter.mutable_by_can_reattest()->set_value(flags.can_reattest);
  }
  if (!flags.expires_before.empty()) {
    filter.set_by_expires_before(TRY(ExpiresBefore(flags.expires_before)));
  }
  return OkStatus();
}

Json AgentJson(const WireAgent& agent) {
  Json selectors = Json::MakeArray();
  for (const auto& s : agent.selectors()) selectors.Add(s.type() + ":" + s.value());
  Json json = Json::MakeObject();
  json.Set("spiffe_id", IdText(agent.id()));
  json.Set("attestation_type", agent.attestation_type());
  json.Set("serial_number", agent.x509svid_serial_number());
  json.Set("expires_at", int64_t{agent.x509svid_expires_at()});
  json.Set("banned", agent.banned());
  json.Set("can_reattest", agent.can_reattest());
  json.Set("agent_version", agent.agent_version());
  json.Set("selectors", std::move(selectors));
  return json;
}

Status ListAgents(Session& session, const FilterFlags& flags) {
  Target target = ServerTarget(session);
  Agent::Stub stub(target.channel);
  agentv1::ListAgentsRequest request;
  request.set_page_size(kPageSize);
  TRY(FillFilter(flags, *request.mutable_filter()));
  std::vector<std::vector<std::string>> rows;
  Json list = Json::MakeArray();
  do {
    auto page = TRY(Call(target, stub, &Agent::Stub::ListAgents, request));
    for (const WireAgent& agent : page.agents()) {
      if (session.output == Output::kJson) {
        list.Add(AgentJson(agent));
        continue;
      }
      std::string standing = agent.banned() ? "banned" : "attested";
      rows.push_back({IdText(agent.id()), agent.attestation_type(), standing,
                      TimeText(agent.x509svid_expires_at(), session.clock->Now()),
                      agent.can_reattest() ? "yes" : "no"});
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  if (session.output == Output::kJson) {
    PrintJson(*session.out, Json::MakeObject().Set("agents", std::move(list)));
  } else if (rows.empty()) {
    *session.out << "No agents\n";
  } else {
    PrintTable(*session.out, {"SPIFFE ID", "ATTESTED BY", "STANDING", "EXPIRES", "REATTESTS"},
               rows);
  }
  return OkStatus();
}

Status CountAgents(Session& session, const FilterFlags& flags) {
  Target target = ServerTarget(session);
  Agent::Stub stub(target.channel);
  agentv1::CountAgentsRequest request;
  TRY(FillFilter(flags, *request.mutable_filter()));
  auto response = TRY(Call(target, stub, &Agent::Stub::CountAgents, request));
  if (session.output == Output::kJson) {
    PrintJson(*session.out, Json::MakeObject().Set("count", int64_t{response.count()}));
  } else {
    *session.out << response.count() << '\n';
  }
  return OkStatus();
}

Status ShowAgent(Session& session, const std::string& spiffe_id) {
  Target target = ServerTarget(session);
  Agent::Stub stub(target.channel);
  agentv1::GetAgentRequest request;
  *request.mutable_id() = TRY(IdMessage(spiffe_id), "--spiffe-id");
  WireAgent agent = TRY(Call(target, stub, &Agent::Stub::GetAgent, request));
  if (session.output == Output::kJson) {
    PrintJson(*session.out, AgentJson(agent));
    return OkStatus();
  }
  std::vector<std::string> selectors;
  for (const auto& s : agent.selectors()) selectors.push_back(s.type() + ":" + s.value());
  PrintFields(*session.out,
              {{"SPIFFE ID", IdText(agent.id())},
               {"Attested by", agent.attestation_type()},
               {"Standing", agent.banned() ? "banned" : "attested"},
               {"Serial number", agent.x509svid_serial_number()},
               {"Expires", TimeText(agent.x509svid_expires_at(), session.clock->Now())},
               {"Re-attests", agent.can_reattest() ? "yes" : "no"},
               {"Version", agent.agent_version()},
               {"Selectors", Joined(selectors)}});
  return OkStatus();
}

Status BanAgent(Session& session, const std::string& spiffe_id) {
  Target target = ServerTarget(session);
  Agent::Stub stub(target.channel);
  agentv1::BanAgentRequest request;
  *request.mutable_id() = TRY(IdMessage(spiffe_id), "--spiffe-id");
  TRY(Call(target, stub, &Agent::Stub::BanAgent, request));
  if (session.output == Output::kTable) {
    *session.out << "Banned " << spiffe_id << ": it gets nothing more, and may not attest anew\n";
  } else {
    PrintJson(*session.out, Json::MakeObject().Set("banned", spiffe_id));
  }
  return OkStatus();
}

Status EvictAgent(Session& session, const std::string& spiffe_id) {
  Target target = ServerTarget(session);
  Agent::Stub stub(target.channel);
  agentv1::DeleteAgentRequest request;
  *request.mutable_id() = TRY(IdMessage(spiffe_id), "--spiffe-id");
  TRY(Call(target, stub, &Agent::Stub::DeleteAgent, request));
  if (session.output == Output::kTable) {
    *session.out << "Evicted " << spiffe_id << ": it must attest anew\n";
  } else {
    PrintJson(*session.out, Json::MakeObject().Set("evicted", spiffe_id));
  }
  return OkStatus();
}

struct TokenFlags {
  std::string spiffe_id, ttl = "10m", token;
};

Status CreateToken(Session& session, const TokenFlags& flags) {
  Target target = ServerTarget(session);
  Agent::Stub stub(target.channel);
  agentv1::CreateJoinTokenRequest request;
  request.set_ttl(TRY(TtlSeconds(flags.ttl), "--ttl"));
  request.set_token(flags.token);
  if (!flags.spiffe_id.empty()) {
    *request.mutable_agent_id() = TRY(IdMessage(flags.spiffe_id), "--spiffe-id");
  }
  auto token = TRY(Call(target, stub, &Agent::Stub::CreateJoinToken, request));
  if (session.output == Output::kJson) {
    Json json = Json::MakeObject();
    json.Set("token", token.value());
    json.Set("expires_at", int64_t{token.expires_at()});
    PrintJson(*session.out, json);
    return OkStatus();
  }
  PrintFields(*session.out,
              {{"Token", token.value()},
               {"Expires", TimeText(token.expires_at(), session.clock->Now())},
               {"Use once", "writ-agent run --config agent.yaml --join-token " + token.value()}});
  return OkStatus();
}

CLI::App* AddIdCommand(CLI::App& noun, Session& session, const std::string& name,
                       const std::string& description,
                       Status (*body)(Session&, const std::string&)) {
  auto id = std::make_shared<std::string>();
  CLI::App* command =
      AddCommand(noun, session, name, description,
                 "  writ agent " + name +
                     " --spiffe-id spiffe://example.org/spire/agent/join_token/0b1c...",
                 [&session, id, body] { return body(session, *id); });
  AddChecked(*command, "--spiffe-id", *id, "The agent's SPIFFE ID", CheckId)->required();
  return command;
}

}  // namespace

void AddAgentCommands(CLI::App& app, Session& session) {
  CLI::App* noun = app.add_subcommand("agent", "The agents that have attested");
  noun->require_subcommand(1);
  auto filter = std::make_shared<FilterFlags>();
  CLI::App* list = AddCommand(*noun, session, "list", "List agents",
                              "  writ agent list\n"
                              "  writ agent list --attestation-type join_token --banned=false\n"
                              "  writ agent list --expires-before 2027-01-31T12:00:00Z",
                              [&session, filter] { return ListAgents(session, *filter); });
  AddFilterFlags(list, *filter);
  auto counted = std::make_shared<FilterFlags>();
  CLI::App* count = AddCommand(*noun, session, "count", "Count agents",
                               "  writ agent count --can-reattest=false",
                               [&session, counted] { return CountAgents(session, *counted); });
  AddFilterFlags(count, *counted);
  AddIdCommand(*noun, session, "show", "Show one agent", ShowAgent);
  AddIdCommand(*noun, session, "ban", "Ban an agent: refused until it is evicted", BanAgent);
  AddIdCommand(*noun, session, "evict", "Forget an agent: it must attest anew", EvictAgent);
}

void AddTokenCommands(CLI::App& app, Session& session) {
  CLI::App* noun = app.add_subcommand("token", "Join tokens: a node's first proof, good once");
  noun->require_subcommand(1);
  auto flags = std::make_shared<TokenFlags>();
  CLI::App* create =
      AddCommand(*noun, session, "create", "Make a join token",
                 "  writ token create --spiffe-id spiffe://example.org/node1 --ttl 10m",
                 [&session, flags] { return CreateToken(session, *flags); });
  AddChecked(*create, "--spiffe-id", flags->spiffe_id, "A stable ID for the node, as an alias",
             CheckId);
  AddChecked(*create, "--ttl", flags->ttl, "How long it may be used", CheckTtl)
      ->capture_default_str();
  create->add_option("--token", flags->token, "The token's value (default: made by the server)");
}

}  // namespace writ
