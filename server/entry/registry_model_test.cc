// SPDX-License-Identifier: Apache-2.0
//
// The registry against a plain recomputation of the rules from the whole set, over thousands of
// random changes. A failure prints its seed.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "server/entry/registry.h"
#include "test/fake/fake_store.h"

namespace writ {
namespace {

constexpr int kSteps = 4000;
constexpr int kAgents = 3;
constexpr int64_t kStart = 1'790'000'000;
const TrustDomain kDomain = *TrustDomain::Parse("example.org");

bool IsAlias(const Entry& entry) { return entry.parent_id == ServerId(kDomain); }

template <typename Set>
bool Includes(const Set& whole, const Set& part) {
  return std::includes(whole.begin(), whole.end(), part.begin(), part.end());
}

template <typename Set>
bool MatchesPlainly(const Set& candidate, const Set& wanted, SelectorMatch match) {
  switch (match) {
    case SelectorMatch::kExact: return candidate == wanted;
    case SelectorMatch::kSubset: return candidate.begin() != candidate.end() &&
                                        Includes(wanted, candidate);
    case SelectorMatch::kSuperset: return Includes(candidate, wanted);
    case SelectorMatch::kAny:
      return std::any_of(candidate.begin(), candidate.end(), [&](const auto& member) {
        return std::find(wanted.begin(), wanted.end(), member) != wanted.end();
      });
  }
  return false;
}

class Model {
 public:
  explicit Model(uint64_t seed) : random_(seed) {}

  void Run() {
    registry_ = Registry::Load(store_, kDomain).value();
    for (int step = 0; step < kSteps && !testing::Test::HasFailure(); ++step) {
      Change();
      Compare();
      if (Pick(500) == 0) registry_.reset();
      if (!registry_) registry_ = Registry::Load(store_, kDomain).value();
    }
  }

 private:
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
      auto done = store_.entries().Create({RandomEntry(RandomEntryId())}, FromUnixSeconds(kStart),
                                          nullptr);
      ASSERT_TRUE(done.ok());
    } else if (kind < 6) {
      auto replace = [&](const Entry& stored) -> Result<Entry> { return RandomEntry(stored.id); };
      ASSERT_TRUE(store_.entries().Edit({{RandomEntryId(), replace}}).ok());
    } else if (kind < 8) {
      ASSERT_TRUE(store_.entries().Delete(std::vector{RandomEntryId()}).ok());
    } else if (kind < 9) {
      Agent agent{.id = RandomAgent(), .attestation_type = "t", .selectors = RandomSelectors(5)};
      ASSERT_TRUE(store_.agents().CommitAttestation(agent, "", FromUnixSeconds(kStart)).ok());
    } else {
      (void)store_.agents().Delete(RandomAgent().text());
    }
  }

  // The rules, word for word, with no index.
  std::set<std::string> Expected(const SpiffeId& agent, Time now) {
    Result<Agent> stored = store_.agents().Get(agent.text());
    const Selectors selectors = stored.ok() ? stored->selectors : Selectors();
    std::set<SpiffeId> parents = {agent};
    for (const Entry& entry : entries_) {
      if (IsAlias(entry) && !entry.ExpiredAt(now) && selectors.ContainsAll(entry.selectors)) {
        parents.insert(entry.spiffe_id);
      }
    }
    std::set<std::string> found;
    for (bool grew = true; grew;) {
      grew = false;
      for (const Entry& entry : entries_) {
        if (IsAlias(entry) || entry.ExpiredAt(now) || !parents.contains(entry.parent_id)) continue;
        grew |= found.insert(entry.id).second;
        grew |= parents.insert(entry.spiffe_id).second;
      }
    }
    return found;
  }

  void Compare() {
    entries_.clear();
    uint64_t sequence = 0;
    ASSERT_TRUE(store_.entries().ForEach(&sequence, [&](Entry e) { entries_.push_back(e); }).ok());
    CompareAuthorized();
    CompareList();
  }

  void CompareAuthorized() {
    const SpiffeId agent = RandomAgent();
    const Time now = FromUnixSeconds(kStart + Pick(110));
    const std::set<std::string> expected = Expected(agent, now);
    std::vector<std::string> found;
    for (const EntryStamp& stamp : registry_->Authorized(agent, now)) found.push_back(stamp.id);
    ASSERT_EQ(found, std::vector<std::string>(expected.begin(), expected.end()));
    for (const Entry& entry : entries_) {
      std::optional<Entry> answer = registry_->AuthorizedEntry(agent, entry.id, now);
      ASSERT_EQ(answer.has_value(), expected.contains(entry.id)) << entry.id;
      if (answer) {
        ASSERT_EQ(*answer, entry);
      }
    }
  }

  EntryFilter RandomFilter() {
    EntryFilter filter;
    if (Pick(4) == 0) filter.spiffe_id = RandomId();
    if (Pick(4) == 0) filter.parent_id = RandomParent();
    if (Pick(3) == 0) filter.selectors = {RandomSelectors(3), static_cast<SelectorMatch>(Pick(4))};
    if (Pick(4) == 0) {
      filter.federates_with = {RandomTrustDomains(), static_cast<SelectorMatch>(Pick(4))};
    }
    if (Pick(5) == 0) filter.hint = "h" + std::to_string(Pick(2));
    if (Pick(5) == 0) filter.downstream = Pick(2) == 0;
    return filter;
  }

  static bool Matches(const Entry& entry, const EntryFilter& filter) {
    if (filter.spiffe_id && entry.spiffe_id != *filter.spiffe_id) return false;
    if (filter.parent_id && entry.parent_id != *filter.parent_id) return false;
    if (filter.hint && entry.hint != *filter.hint) return false;
    if (filter.downstream && entry.downstream != *filter.downstream) return false;
    if (filter.selectors &&
        !MatchesPlainly(entry.selectors, filter.selectors->first, filter.selectors->second)) {
      return false;
    }
    return !filter.federates_with || MatchesPlainly(entry.federates_with,
                                                    filter.federates_with->first,
                                                    filter.federates_with->second);
  }

  void CompareList() {
    const EntryFilter filter = RandomFilter();
    const std::string after = Pick(2) == 0 ? "" : RandomEntryId();
    const size_t limit = static_cast<size_t>(1 + Pick(30));
    std::vector<Entry> expected;
    size_t count = 0;
    for (const Entry& entry : entries_) {
      if (!Matches(entry, filter)) continue;
      ++count;
      if (entry.id > after && expected.size() < limit) expected.push_back(entry);
    }
    ASSERT_EQ(registry_->ListEntries(filter, after, limit), expected);
    ASSERT_EQ(registry_->CountEntries(filter), count);
  }

  std::mt19937_64 random_;
  FakeStore store_;
  std::unique_ptr<Registry> registry_;
  std::vector<Entry> entries_;  // what the store holds now, in ID order
};

TEST(RegistryModelTest, AgreesWithThePlainRulesAfterEveryChange) {
  for (uint64_t seed = 1; seed <= 3 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Model(seed).Run();
  }
}

}  // namespace
}  // namespace writ
