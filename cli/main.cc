// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <iostream>
#include <string_view>

#include "cli/cli.h"

int main(int argc, char** argv) {
  writ::SystemClock clock;
  writ::SystemRandom random;
  writ::Session session{.out = &std::cout, .err = &std::cerr, .clock = &clock, .random = &random};
  for (char** variable = environ; *variable != nullptr; ++variable) {
    std::string_view text = *variable;
    size_t equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    session.environment.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return writ::RunCli(argc, argv, session);
}
