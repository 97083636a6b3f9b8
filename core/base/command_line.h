// SPDX-License-Identifier: Apache-2.0
//
// RunDaemon: the command line that both daemons share: their commands, --help and --version. Exit
// status: 0 done, 1 refused or failed, 2 wrong use.
//
// Threads: the main thread, once.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace writ {

inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitWrongUse = 2;

struct DaemonCommand {
  std::string_view name;
  int (*run)(const std::vector<std::string>&);  // what follows the command; an exit status
};

struct DaemonCommands {
  std::string_view program;             // "writ-server"
  std::string_view usage;               // ends with an empty line
  std::string (*flag_help)();           // the settings' flags, below the usage
  std::vector<DaemonCommand> commands;  // run, validate and what else there is
};

// Takes `flag` and its value ("--to FILE" or "--to=FILE") out of `arguments`; InvalidArgument when
// it is missing, given twice or has no value.
Result<std::string> TakeFlag(std::vector<std::string>& arguments, std::string_view flag);

int RunDaemon(const DaemonCommands& commands, const std::vector<std::string>& arguments);

// Tells the operator why `program` ends; kExitFailed.
int FailDaemon(std::string_view program, const Status& status);

}  // namespace writ
