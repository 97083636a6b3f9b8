// SPDX-License-Identifier: Apache-2.0
//
// writ log-level: the level of the server's log, while it runs.
#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>

#include "cli/cli.h"
#include "cli/output.h"
#include "cli/rpc.h"
#include "core/base/bytes.h"
#include "spire/api/server/logger/v1/logger.grpc.pb.h"

namespace writ {
namespace {

namespace types = spire::api::types;
namespace loggerv1 = spire::api::server::logger::v1;
using loggerv1::Logger;

// Writ's levels; of a SPIRE server's others the nearest.
const std::map<std::string, types::LogLevel>& Levels() {
  static const std::map<std::string, types::LogLevel> levels = {{"debug", types::DEBUG},
                                                                {"info", types::INFO},
                                                                {"warn", types::WARN},
                                                                {"error", types::ERROR}};
  return levels;
}

Status CheckLevel(std::string_view text) {
  if (Levels().contains(std::string(text))) return OkStatus();
  return InvalidArgument("\"" + Printable(text) + "\" is no level: expected debug, info, warn or "
                         "error");
}

std::string LevelText(types::LogLevel wire) {
  for (const auto& [name, level] : Levels()) {
    if (level == wire) return name;
  }
  return types::LogLevel_Name(wire);
}

void Print(Session& session, const types::Logger& logger) {
  const std::string now = LevelText(logger.current_level());
  const std::string configured = LevelText(logger.launch_level());
  if (session.output == Output::kJson) {
    PrintJson(*session.out,
              Json::MakeObject().Set("level", now).Set("configured_level", configured));
    return;
  }
  PrintFields(*session.out, {{"Level", now}, {"Configured", configured}});
}

template <typename Request>
Status Ask(Session& session,
           grpc::Status (Logger::Stub::*method)(grpc::ClientContext*, const Request&,
                                                types::Logger*),
           const Request& request) {
  Target target = ServerTarget(session);
  Logger::Stub stub(target.channel);
  Print(session, TRY(Call(target, stub, method, request)));
  return OkStatus();
}

}  // namespace

void AddLogLevelCommands(CLI::App& app, Session& session) {
  CLI::App* noun = app.add_subcommand("log-level", "The level of the server's log");
  noun->require_subcommand(1);
  AddCommand(*noun, session, "get", "Show the level", "  writ log-level get", [&session] {
    return Ask(session, &Logger::Stub::GetLogger, loggerv1::GetLoggerRequest());
  });
  auto level = std::make_shared<std::string>();
  CLI::App* set = AddCommand(*noun, session, "set", "Change the level until a reset or restart",
                             "  writ log-level set debug", [&session, level] {
                               loggerv1::SetLogLevelRequest request;
                               request.set_new_level(Levels().at(*level));
                               return Ask(session, &Logger::Stub::SetLogLevel, request);
                             });
  AddChecked(*set, "level", *level, "debug, info, warn or error", CheckLevel)
      ->option_text("debug|info|warn|error")
      ->required();
  AddCommand(*noun, session, "reset", "Back to the configured level", "  writ log-level reset",
             [&session] {
               return Ask(session, &Logger::Stub::ResetLogLevel, loggerv1::ResetLogLevelRequest());
             });
}

}  // namespace writ
