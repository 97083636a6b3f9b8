// SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include "cli/cli.h"

int main(int argc, char** argv) {
  writ::SystemClock clock;
  writ::SystemRandom random;
  writ::Session session{.environment = writ::ProcessEnvironment(),
                        .out = &std::cout,
                        .err = &std::cerr,
                        .clock = &clock,
                        .random = &random};
  return writ::RunCli(argc, argv, session);
}
