// SPDX-License-Identifier: Apache-2.0
//
// writ health: is a daemon serving? For scripts and probes: the exit status says it.
#include <CLI/CLI.hpp>
#include <ostream>

#include "cli/cli.h"
#include "cli/output.h"
#include "cli/rpc.h"
#include "grpc/health/v1/health.grpc.pb.h"

namespace writ {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

Status CheckHealth(Session& session, const Target& target) {
  Health::Stub stub(target.channel);
  auto response = TRY(Call(target, stub, &Health::Stub::Check, HealthCheckRequest()));
  bool serving = response.status() == HealthCheckResponse::SERVING;
  if (session.output == Output::kJson) {
    PrintJson(*session.out, Json::MakeObject().Set("serving", serving));
  } else if (serving) {
    *session.out << "serving\n";
  }
  if (serving) return OkStatus();
  return Unavailable("the daemon on " + target.path + " answers, but is not serving; see its log");
}

}  // namespace

void AddHealthCommands(CLI::App& app, Session& session) {
  CLI::App* noun = app.add_subcommand("health", "Is a daemon serving?");
  noun->require_subcommand(1);
  AddCommand(*noun, session, "server", "Ask the server's admin socket", "  writ health server",
             [&session] { return CheckHealth(session, ServerTarget(session)); });
  AddCommand(*noun, session, "agent", "Ask the agent's admin socket", "  writ health agent",
             [&session] { return CheckHealth(session, AgentTarget(session)); });
}

}  // namespace writ
