// SPDX-License-Identifier: Apache-2.0
//
// Whole lives of a trust domain. Without more said, weeks under fixed seeds, so that nothing fails
// by chance. WRIT_SIM_SEED repeats another seed, or takes a random one: WRIT_SIM_SEED=random.
// WRIT_LONG adds a month with more agents, under a random seed unless one is given.
#include "test/sim/simulation.h"

#include <gtest/gtest.h>

#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/environment.h"
#include "core/base/random.h"

namespace writ {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

constexpr uint64_t kTaintSeed = 20261129;
// In the first two the server's disk fails while authorities are made.
constexpr std::array<uint64_t, 3> kSeeds = {44, 51, 20260922};

uint64_t NewSeed() {
  SystemRandom random;
  return 1 + static_cast<uint64_t>(random.Uniform() * 1e9);
}

std::optional<uint64_t> SeedFrom(const Environment& environment) {
  const auto given = environment.find("WRIT_SIM_SEED");
  if (given == environment.end()) return std::nullopt;
  const std::string_view text = given->second;
  if (text == "random") return NewSeed();
  uint64_t seed = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seed);
  EXPECT_TRUE(error == std::errc() && end == text.data() + text.size())
      << "WRIT_SIM_SEED: expected a number or random, got " << text;
  return seed;
}

std::string Told(const Simulation::Counts& counts) {
  return std::to_string(counts.looks) + " looks, " + std::to_string(counts.x509_issued) +
      " X.509-SVIDs of " + std::to_string(counts.authorities_seen) + " authorities, " +
      std::to_string(counts.verified) + " and " + std::to_string(counts.jwts) +
      " JWT-SVIDs verified by peers, " + std::to_string(counts.entry_changes) + " entry changes, " +
      std::to_string(counts.taints) + " taints, starts: " + std::to_string(counts.server_starts) +
      " of the server, " + std::to_string(counts.agent_starts) + " of agents, " +
      std::to_string(counts.file_faults) + " failed changes of files, given up for room: " +
      std::to_string(counts.x509_given_up) + " X.509-SVIDs, " +
      std::to_string(counts.jwt_given_up) + " JWT-SVIDs";
}

void Live(SimulationOptions options) {
  // First, for whatever ends the process.
  fprintf(stderr, "WRIT_SIM_SEED=%llu\n", static_cast<unsigned long long>(options.seed));
  fflush(stderr);
  Simulation simulation(options);
  const std::string failure = simulation.Run();
  const Simulation::Counts& counts = simulation.counts();
  const std::string told = Told(counts);
  printf("seed %llu: %s\n", static_cast<unsigned long long>(options.seed), told.c_str());
  ASSERT_TRUE(failure.empty()) << failure << "repeat with WRIT_SIM_SEED=" << options.seed;
  const int days = static_cast<int>(options.life / hours(24));
  EXPECT_GE(counts.authorities_seen, static_cast<size_t>(days)) << told;
  EXPECT_GT(counts.verified, days * 20) << told;
  EXPECT_GT(counts.jwts, days * 20) << told;
  EXPECT_GT(counts.server_starts, days) << told;
  EXPECT_GT(counts.agent_starts, options.agents + days / 2) << told;
  EXPECT_GT(counts.x509_issued, static_cast<size_t>(days * options.agents * 24)) << told;
  EXPECT_GT(counts.file_faults, days) << told;
  EXPECT_GT(counts.x509_given_up, 0u) << told;
  EXPECT_GT(counts.jwt_given_up, 0u) << told;
  const int taints_min = options.taint_every > Duration::zero() ? days : 0;
  EXPECT_GE(counts.taints, taints_min) << told;
}

SimulationOptions Week(uint64_t seed) {
  return {.seed = seed,
          .life = hours(24 * 7),
          .agents = 10,
          .entries_per_agent = 1,
          .sync_interval = minutes(5)};
}

// Without this no failure could be repeated by its seed.
TEST(SimulationTest, TheSameSeedIsTheSameLife) {
  SimulationOptions options = Week(kSeeds.back());
  options.life = hours(24);
  std::vector<std::string> told;
  for (int life = 0; life < 2; ++life) {
    Simulation simulation(options);
    ASSERT_EQ(simulation.Run(), "");
    told.push_back(Told(simulation.counts()));
  }
  EXPECT_EQ(told[0], told[1]);
}

TEST(SimulationTest, AWeekOfTroubleBreaksNothing) {
  if (std::optional<uint64_t> given = SeedFrom(ProcessEnvironment())) return Live(Week(*given));
  for (uint64_t seed : kSeeds) Live(Week(seed));
}

// The authorities that sign are tainted again and again while everything else goes wrong as well.
TEST(SimulationTest, TaintedAuthoritiesAreReplacedAndNobodyIsLeftBehind) {
  const std::optional<uint64_t> given = SeedFrom(ProcessEnvironment());
  SimulationOptions options = Week(given ? *given : kTaintSeed);
  options.life = hours(24 * 3);
  options.taint_every = hours(7);
  Live(options);
}

TEST(SimulationTest, AMonthOfTroubleBreaksNothing) {
  const Environment environment = ProcessEnvironment();
  if (!environment.contains("WRIT_LONG")) GTEST_SKIP() << "a month is for ./dev test --long";
  const std::optional<uint64_t> given = SeedFrom(environment);
  Live({.seed = given ? *given : NewSeed(),
        .life = hours(24 * 30),
        .agents = 12,
        .entries_per_agent = 2,
        .sync_interval = minutes(2)});
}

}  // namespace
}  // namespace writ
