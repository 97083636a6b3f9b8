// SPDX-License-Identifier: Apache-2.0
//
// The operator's command. RunCli() parses the words, runs the one command that they name and
// returns the exit status: 0 done, 1 refused or failed, 2 wrong use.
//
// Each noun has one file that adds its commands; a command's body is a function over Session that
// returns a Status. Threads: one.
#pragma once

#include <functional>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/environment.h"
#include "core/base/random.h"
#include "core/base/status.h"

namespace CLI {
class App;
class Option;
}

namespace writ {

enum class Output { kTable, kJson };

// What a command works with. Filled by parsing, read by the command's body.
struct Session {
  Environment environment;  // constant
  std::ostream* out;
  std::ostream* err;
  Clock* clock;
  Random* random;

  std::string socket;  // --socket; empty: the command's default
  Output output = Output::kTable;
  std::function<Status()> command;  // set by the subcommand that was named
  bool streaming = false;           // set by a command that prints update after update
  bool wrong_use = false;           // set by WrongUse()

  // For words that a command cannot work with: ends with exit status 2.
  Status WrongUse(std::string message) {
    wrong_use = true;
    return InvalidArgument(std::move(message));
  }
};

inline constexpr char kServerAdminSocket[] = "/run/writ/server/admin.sock";
inline constexpr char kAgentAdminSocket[] = "/run/writ/agent/admin.sock";
inline constexpr char kWorkloadSocket[] = "/run/writ/public/workload.sock";

// A subcommand with --socket, --output and examples below its help text.
CLI::App* AddCommand(CLI::App& parent, Session& session, const std::string& name,
                     const std::string& description, const std::string& examples,
                     std::function<Status()> body);

// An option whose value must pass `check`, so that a malformed one is wrong use, told before any
// call.
using FlagCheck = Status (*)(std::string_view text);
CLI::Option* AddChecked(CLI::App& app, const std::string& name, std::string& value,
                        const std::string& description, FlagCheck check);
CLI::Option* AddChecked(CLI::App& app, const std::string& name, std::vector<std::string>& values,
                        const std::string& description, FlagCheck check);

void AddEntryCommands(CLI::App& app, Session& session);
void AddAgentCommands(CLI::App& app, Session& session);
void AddTokenCommands(CLI::App& app, Session& session);
void AddBundleCommands(CLI::App& app, Session& session);
void AddSvidCommands(CLI::App& app, Session& session);
void AddSvidMintCommands(CLI::App& svid, Session& session);
void AddHealthCommands(CLI::App& app, Session& session);
void AddWhyCommand(CLI::App& app, Session& session);
void AddLogLevelCommands(CLI::App& app, Session& session);

int RunCli(int argc, const char* const* argv, Session& session);

}  // namespace writ
