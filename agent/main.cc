// SPDX-License-Identifier: Apache-2.0
//
// writ-agent: the command line of the agent. Exit status: 0 done, 1 refused or failed, 2 wrong use.
#include <cstdio>
#include <string>
#include <vector>

#include "agent/agent.h"
#include "agent/config.h"
#include "core/base/environment.h"
#include "core/base/log.h"
#include "core/base/process.h"
#include "core/base/version.h"
#include "core/net/grpc_server.h"

namespace writ {
namespace {

constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kWrongUse = 2;

constexpr char kUsage[] =
    "writ-agent: attests this node and serves the SPIFFE Workload API to its processes.\n"
    "\n"
    "Usage:\n"
    "  writ-agent run      --config FILE [settings]   run until SIGTERM\n"
    "  writ-agent validate --config FILE [settings]   check the configuration and exit\n"
    "  writ-agent --help | --version\n"
    "\n"
    "Example:\n"
    "  WRIT_JOIN_TOKEN=4b8c... writ-agent run --config /etc/writ/agent.yaml\n"
    "\n";

void Print(FILE* to, const std::string& text) { fwrite(text.data(), 1, text.size(), to); }

int Fail(const Status& status) {
  Print(stderr, "writ-agent: " + status.message() + "\n");
  return kFailed;
}

int Validate(const std::vector<std::string>& arguments) {
  const Result<AgentConfig> config = LoadAgentConfig(arguments, ProcessEnvironment());
  if (!config.ok()) return Fail(config.status());
  const Result<std::vector<std::string>> warnings = ValidateAgent(*config);
  if (!warnings.ok()) return Fail(warnings.status());
  for (const std::string& warning : *warnings) {
    Print(stdout, "warning: " + warning + "\n");
  }
  Print(stdout, "The configuration is valid.\n");
  return kDone;
}

int Run(const std::vector<std::string>& arguments) {
  StopSignal stop;  // before any thread
  Result<AgentConfig> config = LoadAgentConfig(arguments, ProcessEnvironment());
  if (!config.ok()) return Fail(config.status());
  const std::unique_ptr<StderrLog> log = MakeStderrLog(config->log.level, config->log.format);
  for (const std::string& warning : Warnings(*config)) log->Warn(warning);
  for (const Status& status : {ForbidCoreDumps(), RaiseFileLimit()}) {
    if (!status.ok()) log->Warn("cannot prepare the process", {{"reason", status}});
  }
  log->Info("writ-agent starts",
            {{"version", Version()}, {"trust_domain", config->trust_domain->name()}});
  Result<std::unique_ptr<Agent>> agent = Agent::Start(std::move(config).value(), &stop, log.get());
  const Status verdict = agent.ok() ? (*agent)->Run() : agent.status();
  if (!verdict.ok()) {
    log->Error("writ-agent ends: it cannot go on", {{"reason", verdict}});
    return kFailed;
  }
  log->Info("writ-agent has stopped");
  return kDone;
}

int Main(const std::vector<std::string>& arguments) {
  const std::string command = arguments.empty() ? "" : arguments.front();
  const bool asks_for_help =
      !arguments.empty() && (arguments.back() == "--help" || arguments.back() == "-h");
  if (asks_for_help || command == "help") {
    Print(stdout, kUsage + AgentFlagHelp());
    return kDone;
  }
  if (command == "--version") {
    Print(stdout, "writ-agent " + std::string(Version()) + "\n");
    return kDone;
  }
  const std::vector<std::string> rest(arguments.begin() + (arguments.empty() ? 0 : 1),
                                      arguments.end());
  if (command == "run") return Run(rest);
  if (command == "validate") return Validate(rest);
  Print(stderr, command.empty() ? std::string("writ-agent: no command given\n\n")
                                : "writ-agent: there is no command \"" + command + "\"\n\n");
  Print(stderr, kUsage);
  return kWrongUse;
}

}  // namespace
}  // namespace writ

int main(int argc, char** argv) { return writ::Main({argv + 1, argv + argc}); }
