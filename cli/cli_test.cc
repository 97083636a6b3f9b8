// SPDX-License-Identifier: Apache-2.0
#include "cli/cli.h"

#include <gtest/gtest.h>

#include <sstream>
#include <vector>

namespace writ {
namespace {

struct Outcome {
  int code;
  std::string error;
};

Outcome RunWords(std::vector<const char*> words) {
  words.insert(words.begin(), "writ");
  std::ostringstream out;
  std::ostringstream error;
  Session session{.out = &out, .err = &error};
  const int code = RunCli(static_cast<int>(words.size()), words.data(), session);
  return {code, error.str()};
}

TEST(CliTest, AnUnknownCommandIsNamedWithTheNearestOne) {
  EXPECT_EQ(RunWords({"entyr", "list"}).error,
            "writ: there is no command \"entyr\"; did you mean \"entry\"?\n"
            "Run with --help for more information.\n");
  EXPECT_EQ(RunWords({"entry", "craete"}).error,
            "writ: there is no command \"craete\"; did you mean \"create\"?\n"
            "Run with --help for more information.\n");
  const Outcome nothing = RunWords({"nothing"});
  EXPECT_EQ(nothing.code, 2);
  EXPECT_EQ(nothing.error,
            "writ: there is no command \"nothing\"\nRun with --help for more information.\n");
}

TEST(CliTest, ALogLevelIsOneOfFourWords) {
  for (const char* level : {"loud", "6", "INFO", ""}) {
    const Outcome outcome = RunWords({"log-level", "set", level});
    EXPECT_EQ(outcome.code, 2) << level;
    EXPECT_EQ(outcome.error, "level: \"" + std::string(level) +
                                 "\" is no level: expected debug, info, warn or error\n"
                                 "Run with --help for more information.\n");
  }
}

TEST(CliTest, HelpIsNoCommandAndEndsWell) {
  EXPECT_EQ(RunWords({"--help"}).code, 0);
  EXPECT_EQ(RunWords({"entry", "--help"}).code, 0);
  EXPECT_EQ(RunWords({}).code, 2);
}

}  // namespace
}  // namespace writ
