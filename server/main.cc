// SPDX-License-Identifier: Apache-2.0
//
// writ-server: the command line of the server. Exit status: 0 done, 1 refused or failed, 2 wrong
// use.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/command_line.h"
#include "core/base/environment.h"
#include "core/base/log.h"
#include "core/base/process.h"
#include "core/base/random.h"
#include "core/base/version.h"
#include "core/net/grpc_server.h"
#include "server/backup.h"
#include "server/config.h"
#include "server/server.h"

namespace writ {
namespace {

constexpr std::string_view kProgram = "writ-server";

constexpr std::chrono::milliseconds kServiceManagerMayTake{500};

constexpr char kUsage[] =
    "writ-server: the authority of one trust domain: it attests nodes and issues SVIDs.\n"
    "\n"
    "Usage:\n"
    "  writ-server run      --config FILE [settings]           run until SIGTERM\n"
    "  writ-server validate --config FILE [settings] [--deep]  check the configuration and the\n"
    "                                                          data directory (--deep: the whole\n"
    "                                                          store), change nothing\n"
    "  writ-server backup   --config FILE --to FILE            copy the store, also while the\n"
    "                                                          server runs\n"
    "  writ-server restore  --config FILE --from FILE          put a backup in the place of the\n"
    "                       [--without-keys]                   store, which is set aside; the\n"
    "                                                          server must not run\n"
    "  writ-server --help | --version\n"
    "\n"
    "Example:\n"
    "  writ-server run --config /etc/writ/server.yaml --trust-domain example.org\n"
    "  writ-server backup --config /etc/writ/server.yaml --to /var/backups/writ.db\n"
    "\n";

void Print(FILE* to, const std::string& text) { fwrite(text.data(), 1, text.size(), to); }

int Fail(const Status& status) { return FailDaemon(kProgram, status); }

int Validate(const std::vector<std::string>& given) {
  std::vector<std::string> arguments = given;
  bool deep = std::erase(arguments, "--deep") > 0;
  const Result<ServerConfig> config = LoadServerConfig(arguments, ProcessEnvironment());
  if (!config.ok()) return Fail(config.status());
  const Status data = ValidateData(*config, deep);
  if (!data.ok()) return Fail(data);
  for (const std::string& warning : Warnings(*config)) {
    Print(stdout, "warning: " + warning + "\n");
  }
  Print(stdout, "The configuration is valid.\n");
  return kExitDone;
}

// What backup and restore answered: said to the operator, and the exit status.
int Tell(const Result<std::string>& told) {
  if (!told.ok()) return Fail(told.status());
  Print(stdout, *told);
  return kExitDone;
}

int WrongUse(const Status& status) {
  (void)Fail(status);
  return kExitWrongUse;
}

int BackUpCommand(const std::vector<std::string>& given) {
  std::vector<std::string> arguments = given;
  const Result<std::string> to = TakeFlag(arguments, "--to");
  if (!to.ok()) return WrongUse(to.status());
  const Result<ServerConfig> config = LoadServerConfig(arguments, ProcessEnvironment());
  if (!config.ok()) return Fail(config.status());
  return Tell(BackUp(*config, *to));
}

int RestoreCommand(const std::vector<std::string>& given) {
  std::vector<std::string> arguments = given;
  const bool without_keys = std::erase(arguments, "--without-keys") > 0;
  const Result<std::string> from = TakeFlag(arguments, "--from");
  if (!from.ok()) return WrongUse(from.status());
  const Result<ServerConfig> config = LoadServerConfig(arguments, ProcessEnvironment());
  if (!config.ok()) return Fail(config.status());
  return Tell(Restore(*config, *from, without_keys ? LostKeys::kReplace : LostKeys::kRefuse,
                      SystemClock().Now()));
}

void Tell(Log& log, std::string_view state) {
  const Status told = NotifyServiceManager(state, kServiceManagerMayTake);
  if (!told.ok()) log.Warn("the service manager does not hear", {{"error", told}});
}

int Run(const std::vector<std::string>& arguments) {
  LimitHeaps();
  StopSignal stop;  // before any thread
  const Result<ServerConfig> config = LoadServerConfig(arguments, ProcessEnvironment());
  if (!config.ok()) return Fail(config.status());
  const std::unique_ptr<AdjustableLog> log = MakeStderrLog(config->log.level, config->log.format);
  for (const std::string& warning : Warnings(*config)) log->Warn(warning);
  for (const Status& status : {ForbidCoreDumps(), RaiseFileLimit()}) {
    if (!status.ok()) log->Warn("cannot prepare the process", {{"reason", status}});
  }
  log->Info("writ-server starts",
            {{"version", Version()}, {"trust_domain", config->trust_domain->name()}});
  SystemClock clock;
  SystemRandom random;
  Result<std::unique_ptr<Server>> server =
      Server::Start(*config, {.clock = &clock, .random = &random, .log = log.get()});
  if (!server.ok()) {
    log->Error("writ-server ends: it cannot start", {{"reason", server.status()}});
    return kExitFailed;
  }
  Tell(*log, "READY=1");
  ReturnStartUpPages();
  while (stop.WaitForReload()) (*server)->Reload();
  Tell(*log, "STOPPING=1");
  (*server)->Stop();
  log->Info("writ-server has stopped");
  return kExitDone;
}

}  // namespace
}  // namespace writ

int main(int argc, char** argv) {
  return writ::RunDaemon({.program = writ::kProgram,
                          .usage = writ::kUsage,
                          .flag_help = writ::ServerFlagHelp,
                          .commands = {{"run", writ::Run},
                                       {"validate", writ::Validate},
                                       {"backup", writ::BackUpCommand},
                                       {"restore", writ::RestoreCommand}}},
                         {argv + 1, argv + argc});
}
