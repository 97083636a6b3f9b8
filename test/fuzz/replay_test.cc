// SPDX-License-Identifier: Apache-2.0
//
// Every input of every corpus, and small mutations of each, through its target: no crash, no broken
// promise.
#include <gtest/gtest.h>

#include "core/base/file.h"
#include "test/fake/fake_clock.h"
#include "test/fuzz/targets.h"
#include "test/support/paths.h"

namespace writ {
namespace {

constexpr int kMutationsPerInput = 200;

class CorpusTest : public testing::TestWithParam<FuzzTarget> {};

std::string Mutated(std::string input, Random& random) {
  for (uint64_t i = 0; i <= random.Uint64() % 3; ++i) {
    if (input.empty()) return input;
    size_t at = random.Uint64() % input.size();
    switch (random.Uint64() % 4) {
      case 0: input.push_back(static_cast<char>(random.Uint64())); break;
      case 1: input.resize(at); break;
      case 2: std::swap(input.front(), input.back()); break;
      default: input[at] = static_cast<char>(random.Uint64());
    }
  }
  return input;
}

TEST_P(CorpusTest, NoInputBreaksThePromise) {
  std::string directory = SourcePath("test/fuzz/corpus/" + std::string(GetParam().name));
  auto names = ListDirectory(directory);
  ASSERT_TRUE(names.ok()) << names.status().ToString();
  ASSERT_FALSE(names->empty()) << directory;
  SeededRandom random(7);
  for (const std::string& name : *names) {
    auto input = ReadFile(directory + "/" + name);
    ASSERT_TRUE(input.ok()) << input.status().ToString();
    GetParam().run(*input);
    for (int i = 0; i < kMutationsPerInput; ++i) GetParam().run(Mutated(*input, random));
  }
}

INSTANTIATE_TEST_SUITE_P(Fuzz, CorpusTest,
                         testing::ValuesIn(FuzzTargets().begin(), FuzzTargets().end()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace writ
