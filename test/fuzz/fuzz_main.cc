// SPDX-License-Identifier: Apache-2.0
//
// libFuzzer's entry. The environment variable WRIT_FUZZ_TARGET names the target.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "core/base/environment.h"
#include "test/fuzz/targets.h"

namespace {
const writ::FuzzTarget* target = nullptr;
}

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  std::string name = writ::ProcessEnvironment()["WRIT_FUZZ_TARGET"];
  for (const writ::FuzzTarget& candidate : writ::FuzzTargets()) {
    if (candidate.name == name) target = &candidate;
  }
  if (target == nullptr) {
    std::fprintf(stderr, "WRIT_FUZZ_TARGET is '%s'; known targets:\n", name.c_str());
    for (const writ::FuzzTarget& candidate : writ::FuzzTargets()) {
      std::fprintf(stderr, "  %s\n", candidate.name.data());
    }
    std::exit(2);
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  target->run({reinterpret_cast<const char*>(data), size});
  return 0;
}
