// SPDX-License-Identifier: Apache-2.0
#include "core/base/command_line.h"

#include <gtest/gtest.h>

namespace writ {
namespace {

constexpr DaemonCommands kCommands = {
    .program = "writ-test",
    .usage = "usage\n\n",
    .flag_help = [] { return std::string("--flag\n"); },
    .run = [](const std::vector<std::string>& rest) { return 10 + static_cast<int>(rest.size()); },
    .validate = [](const std::vector<std::string>&) { return 20; },
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

}  // namespace
}  // namespace writ
