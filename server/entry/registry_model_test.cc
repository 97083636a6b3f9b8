// SPDX-License-Identifier: Apache-2.0
//
// The registry against a plain recomputation of the rules from the whole set, over thousands of
// random changes. A failure prints its seed.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "server/entry/random_changes_fixture.h"
#include "server/entry/registry.h"

namespace writ {
namespace {

constexpr int kSteps = 4000;

bool IsAlias(const Entry& entry) { return entry.parent_id == ServerId(RandomChanges::kDomain); }

template <typename Set>
bool Includes(const Set& whole, const Set& part) {
  return std::includes(whole.begin(), whole.end(), part.begin(), part.end());
}

template <typename Set>
bool MatchesPlainly(const Set& candidate, const Set& wanted, SelectorMatch match) {
  switch (match) {
    case SelectorMatch::kExact:
      return candidate == wanted;
    case SelectorMatch::kSubset:
      return candidate.begin() != candidate.end() && Includes(wanted, candidate);
    case SelectorMatch::kSuperset:
      return Includes(candidate, wanted);
    case SelectorMatch::kAny:
      return std::any_of(candidate.begin(), candidate.end(), [&](const auto& member) {
        return std::find(wanted.begin(), wanted.end(), member) != wanted.end();
      });
  }
  return false;
}

class Model : RandomChanges {
 public:
  explicit Model(uint64_t seed) : RandomChanges(seed) {}

  void Run() {
    registry_ = Registry::Load(store, kDomain).value();
    for (int step = 0; step < kSteps && !testing::Test::HasFailure(); ++step) {
      Change();
      Compare();
      if (Pick(500) == 0) registry_.reset();
      if (!registry_) registry_ = Registry::Load(store, kDomain).value();
    }
  }

 private:
  // The rules, word for word, with no index.
  std::set<std::string> Expected(const SpiffeId& agent, Time now) {
    Result<Agent> stored = store.agents().Get(agent.text());
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
    ASSERT_TRUE(store.entries().ForEach(&sequence, [&](Entry e) { entries_.push_back(e); }).ok());
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
    CompareVisited(agent, now, found);
  }

  // Of IDs in any order, some of them repeated or unknown.
  void CompareVisited(const SpiffeId& agent, Time now, const std::vector<std::string>& authorized) {
    std::vector<std::string> ids = {"unknown"};
    for (const Entry& entry : entries_) ids.insert(ids.end(), Pick(3), entry.id);
    for (size_t i = 1; Pick(2) == 0 && i < ids.size(); ++i) std::swap(ids[i], ids[Pick(i)]);
    std::vector<std::string> expected;
    for (const std::string& id : ids) {
      if (std::ranges::binary_search(authorized, id)) expected.push_back(id);
    }
    std::vector<std::string> visited;
    size_t done = 0;
    while (done < ids.size()) {  // by pages
      int left = 1 + Pick(4);
      done += registry_->VisitAuthorized(agent, std::span(ids).subspan(done), now,
                                         [&](const Entry& entry) {
                                           if (left-- == 0) return false;
                                           visited.push_back(entry.id);
                                           return true;
                                         });
    }
    ASSERT_EQ(visited, expected);
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
    return !filter.federates_with ||
           MatchesPlainly(entry.federates_with, filter.federates_with->first,
                          filter.federates_with->second);
  }

  void CompareList() {
    const EntryFilter filter = RandomFilter();
    const int64_t after =
        Pick(2) == 0 || entries_.empty()
            ? kFromTheFirst
            : entries_[static_cast<size_t>(Pick(static_cast<int>(entries_.size())))].ordinal;
    const size_t limit = static_cast<size_t>(1 + Pick(30));
    std::vector<Entry> expected;
    size_t count = 0;
    std::vector<Entry> by_age = entries_;
    std::ranges::sort(by_age, {}, &Entry::ordinal);
    for (const Entry& entry : by_age) {
      if (!Matches(entry, filter)) continue;
      ++count;
      if (entry.ordinal > after && expected.size() < limit) expected.push_back(entry);
    }
    ASSERT_EQ(registry_->ListEntries(filter, after, limit), expected);
    ASSERT_EQ(registry_->CountEntries(filter), count);
  }

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
