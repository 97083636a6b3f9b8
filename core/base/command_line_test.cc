// SPDX-License-Identifier: Apache-2.0
#include "core/base/command_line.h"

#include <gtest/gtest.h>

namespace writ {
namespace {

const DaemonCommands kCommands = {
    .program = "writ-test",
    .usage = "usage\n\n",
    .flag_help = [] { return std::string("--flag\n"); },
    .commands = {{"run",
                  [](const std::vector<std::string>& rest) {
                    return 10 + static_cast<int>(rest.size());
                  }},
                 {"validate", [](const std::vector<std::string>&) { return 20; }}},
};

TEST(CommandLineTest, CommandsGetWhatFollowsThem) {
  EXPECT_EQ(RunDaemon(kCommands, {"run", "--config", "f"}), 12);
  EXPECT_EQ(RunDaemon(kCommands, {"validate"}), 20);
}

TEST(CommandLineTest, HelpAndVersionAreNoFailure) {
  for (const char* word : {"--help", "-h", "help", "--version"}) {
    EXPECT_EQ(RunDaemon(kCommands, {word}), kExitDone) << word;
  }
  EXPECT_EQ(RunDaemon(kCommands, {"run", "--help"}), kExitDone);
}

TEST(CommandLineTest, NoCommandAndAnUnknownOneAreWrongUse) {
  EXPECT_EQ(RunDaemon(kCommands, {}), kExitWrongUse);
  EXPECT_EQ(RunDaemon(kCommands, {"walk"}), kExitWrongUse);
}

TEST(CommandLineTest, FlagsAreTakenOutWithTheirValues) {
  std::vector<std::string> arguments{"--config", "f", "--to", "x", "--log-level", "debug"};
  EXPECT_EQ(TakeFlag(arguments, "--to").value(), "x");
  EXPECT_EQ(arguments, (std::vector<std::string>{"--config", "f", "--log-level", "debug"}));
  arguments = {"--to=y"};
  EXPECT_EQ(TakeFlag(arguments, "--to").value(), "y");
  EXPECT_TRUE(arguments.empty());
  for (const std::vector<std::string>& wrong : std::vector<std::vector<std::string>>{
           {}, {"--to"}, {"--to="}, {"--to", ""}, {"--to=a", "--to", "b"}, {"--together=a"}}) {
    arguments = wrong;
    EXPECT_EQ(TakeFlag(arguments, "--to").code(), Code::kInvalidArgument);
  }
}

}  // namespace
}  // namespace writ
