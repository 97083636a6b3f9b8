// SPDX-License-Identifier: Apache-2.0
//
// The fuzz targets: each takes hostile bytes to one parser and checks what must hold of whatever it
// accepts (a broken promise ends the process). libFuzzer drives them (fuzz_main.cc); their corpora
// replay as an ordinary test (replay_test.cc).
#pragma once

#include <span>
#include <string_view>

namespace writ {

struct FuzzTarget {
  std::string_view name;  // also its corpus directory's
  void (*run)(std::string_view input);
};

std::span<const FuzzTarget> FuzzTargets();

}  // namespace writ
