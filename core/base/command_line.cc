// SPDX-License-Identifier: Apache-2.0
#include "core/base/command_line.h"

#include <cstdio>

#include "core/base/version.h"

namespace writ {
namespace {

void Print(FILE* to, const std::string& text) { fwrite(text.data(), 1, text.size(), to); }

}  // namespace

int FailDaemon(std::string_view program, const Status& status) {
  Print(stderr, std::string(program) + ": " + status.message() + "\n");
  return kExitFailed;
}

int RunDaemon(const DaemonCommands& commands, const std::vector<std::string>& arguments) {
  const std::string program(commands.program);
  const std::string command = arguments.empty() ? "" : arguments.front();
  const bool asks_for_help =
      !arguments.empty() && (arguments.back() == "--help" || arguments.back() == "-h");
  if (asks_for_help || command == "help") {
    Print(stdout, std::string(commands.usage) + commands.flag_help());
    return kExitDone;
  }
  if (command == "--version") {
    Print(stdout, program + " " + std::string(Version()) + "\n");
    return kExitDone;
  }
  const std::vector<std::string> rest(arguments.begin() + (arguments.empty() ? 0 : 1),
                                      arguments.end());
  if (command == "run") return commands.run(rest);
  if (command == "validate") return commands.validate(rest);
  Print(stderr, program + (command.empty() ? ": no command given\n\n"
                                           : ": there is no command \"" + command + "\"\n\n"));
  Print(stderr, std::string(commands.usage));
  return kExitWrongUse;
}

}  // namespace writ
