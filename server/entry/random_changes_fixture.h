// SPDX-License-Identifier: Apache-2.0
//
// RandomChanges, for this folder's tests: entries and agents that come, change, move and go at
// random, over so few IDs and selectors that they meet: nesting, cycles, aliases, ends.
#pragma once

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "test/fake/fake_store.h"

namespace writ {

class RandomChanges {
 public:
  static constexpr int kAgents = 3;
  static constexpr int64_t kStart = 1'790'000'000;
  static inline const TrustDomain kDomain = *TrustDomain::Parse("example.org");

  explicit RandomChanges(uint64_t seed) : random_(seed) {}

  int Pick(int below) { return static_cast<int>(random_() % static_cast<uint64_t>(below)); }
  SpiffeId RandomId() { return *SpiffeId::FromPath(kDomain, "/w" + std::to_string(Pick(10))); }
  SpiffeId RandomAgent() {
    return *SpiffeId::FromPath(kDomain, "/spire/agent/t/" + std::to_string(Pick(kAgents)));
  }
  SpiffeId RandomParent() {
    const int kind = Pick(10);
    return kind < 2 ? ServerId(kDomain) : kind < 4 ? RandomAgent() : RandomId();
  }
  Selectors RandomSelectors(int count_max) {
    Selectors selectors;
    for (int i = 1 + Pick(count_max); i > 0; --i) {
      selectors.Insert({"s", std::to_string(Pick(6))});
    }
    return selectors;
  }
  std::vector<std::string> RandomTrustDomains() {
    std::set<std::string> names;
    for (int i = Pick(3); i > 0; --i) names.insert("td" + std::to_string(Pick(3)));
    return {names.begin(), names.end()};
  }
  Entry RandomEntry(std::string id) {
    return Entry{.id = std::move(id),
                 .spiffe_id = RandomId(),
                 .parent_id = RandomParent(),
                 .selectors = RandomSelectors(3),
                 .federates_with = RandomTrustDomains(),
                 .downstream = Pick(2) == 0,
                 .expires_at = Pick(4) == 0 ? kStart + Pick(100) : 0,
                 .hint = Pick(2) == 0 ? "" : "h" + std::to_string(Pick(2))};
  }
  std::string RandomEntryId() { return "e" + std::to_string(Pick(60)); }

  void Change() {
    const int kind = Pick(10);
    if (kind < 4) {
      auto done = store.entries().Create({RandomEntry(RandomEntryId())}, FromUnixSeconds(kStart),
                                          nullptr);
      ASSERT_TRUE(done.ok());
    } else if (kind < 6) {
      auto replace = [&](const Entry& stored) -> Result<Entry> { return RandomEntry(stored.id); };
      ASSERT_TRUE(store.entries().Edit({{RandomEntryId(), replace}}).ok());
    } else if (kind < 8) {
      ASSERT_TRUE(store.entries().Delete(std::vector{RandomEntryId()}).ok());
    } else if (kind < 9) {
      Agent agent{.id = RandomAgent(), .attestation_type = "t", .selectors = RandomSelectors(5)};
      ASSERT_TRUE(store.agents().CommitAttestation(agent, "", FromUnixSeconds(kStart)).ok());
    } else {
      (void)store.agents().Delete(RandomAgent().text());
    }
  }

  FakeStore store;

 private:
  std::mt19937_64 random_;
};

}  // namespace writ
