// SPDX-License-Identifier: Apache-2.0
//
// writ-agent: the command line of the agent. Exit status: 0 done, 1 refused or failed, 2 wrong use.
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "agent/agent.h"
#include "agent/config.h"
#include "core/base/command_line.h"
#include "core/base/environment.h"
#include "core/base/log.h"
#include "core/base/process.h"
#include "core/base/version.h"
#include "core/net/grpc_server.h"

namespace writ {
namespace {

constexpr std::string_view kProgram = "writ-agent";

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

int Fail(const Status& status) { return FailDaemon(kProgram, status); }

int Validate(const std::vector<std::string>& arguments) {
  const Result<AgentConfig> config = LoadAgentConfig(arguments, ProcessEnvironment());
  if (!config.ok()) return Fail(config.status());
  const Result<std::vector<std::string>> warnings = ValidateAgent(*config);
  if (!warnings.ok()) return Fail(warnings.status());
  for (const std::string& warning : *warnings) {
    Print(stdout, "warning: " + warning + "\n");
  }
  Print(stdout, "The configuration is valid.\n");
  return kExitDone;
}

int Run(const std::vector<std::string>& arguments) {
  LimitHeaps();
  StopSignal stop;  // before any thread
  Result<AgentConfig> config = LoadAgentConfig(arguments, ProcessEnvironment());
  if (!config.ok()) return Fail(config.status());
  const std::unique_ptr<AdjustableLog> log = MakeStderrLog(config->log.level, config->log.format);
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
    return kExitFailed;
  }
  log->Info("writ-agent has stopped");
  return kExitDone;
}

}  // namespace
}  // namespace writ

int main(int argc, char** argv) {
  return writ::RunDaemon({.program = writ::kProgram,
                          .usage = writ::kUsage,
                          .flag_help = writ::AgentFlagHelp,
                          .commands = {{"run", writ::Run}, {"validate", writ::Validate}}},
                         {argv + 1, argv + argc});
}
