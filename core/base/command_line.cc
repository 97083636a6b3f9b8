// SPDX-License-Identifier: Apache-2.0
#include "core/base/command_line.h"

#include <algorithm>
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

Result<std::string> TakeFlag(std::vector<std::string>& arguments, std::string_view flag) {
  const std::string with_value = std::string(flag) + "=";
  std::string value;
  for (auto it = arguments.begin(); it != arguments.end();) {
    const bool joined = it->starts_with(with_value);
    if (!joined && *it != flag) {
      ++it;
      continue;
    }
    if (!value.empty()) return InvalidArgument(std::string(flag) + " is given twice");
    const auto end = it + (joined ? 1 : std::min<ptrdiff_t>(2, arguments.end() - it));
    value = joined ? it->substr(with_value.size()) : end - it == 2 ? it[1] : "";
    if (value.empty()) return InvalidArgument(std::string(flag) + " needs a value");
    it = arguments.erase(it, end);
  }
  if (value.empty()) return InvalidArgument(std::string(flag) + " is missing; see --help");
  return value;
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
  for (const DaemonCommand& known : commands.commands) {
    if (known.name == command) return known.run(rest);
  }
  Print(stderr, program + (command.empty() ? ": no command given\n\n"
                                           : ": there is no command \"" + command + "\"\n\n"));
  Print(stderr, std::string(commands.usage));
  return kExitWrongUse;
}

}  // namespace writ
