// SPDX-License-Identifier: Apache-2.0
#include "agent/cache/entry_index.h"

#include <algorithm>
#include <functional>

namespace writ {
namespace {

SelectorView ViewOf(const Selector& selector) { return {selector.type, selector.value}; }

uint64_t HashOf(const SelectorView& selector) {
  const std::hash<std::string_view> hash;
  return hash(selector.value) * 31 + hash(selector.type);
}

bool IsSubset(const std::vector<SelectorView>& subset, const Selectors& of) {
  return CountMissing(subset, of) == 0;
}

}  // namespace

uint32_t HeldEntryIndex::CountUnder(const SelectorView& selector) const {
  auto at = entries_.find(HashOf(selector));
  return at == entries_.end() ? 0 : at->second->from_here;
}

void HeldEntryIndex::Add(HeldEntry* held) {
  const std::vector<SelectorView> selectors = held->packed.selectors();
  if (selectors.empty()) return;
  auto rarest = selectors.begin();
  if (selectors.size() > 1) {
    rarest = std::ranges::min_element(
        selectors, {}, [this](const SelectorView& selector) { return CountUnder(selector); });
  }
  held->key = static_cast<uint16_t>(rarest - selectors.begin());
  HeldEntry*& first = entries_[HashOf(*rarest)];
  held->from_here = first == nullptr ? 1 : first->from_here + 1;
  held->next = std::exchange(first, held);
}

void HeldEntryIndex::Remove(HeldEntry* held) {
  const std::vector<SelectorView> selectors = held->packed.selectors();
  if (selectors.empty()) return;
  auto at = entries_.find(HashOf(selectors[held->key]));
  CHECK(at != entries_.end());
  const uint32_t left = at->second->from_here - 1;
  HeldEntry** place = &at->second;
  while (*place != held) {
    CHECK(*place != nullptr);
    place = &(*place)->next;
  }
  *place = std::exchange(held->next, nullptr);
  if (left == 0) {
    entries_.erase(at);
  } else {
    at->second->from_here = left;
  }
}

void HeldEntryIndex::AddGroup(Group* group, const Selectors* selectors) {
  group->selectors = selectors;
  for (const Selector& selector : *selectors) groups_[HashOf(ViewOf(selector))].push_back(group);
}

void HeldEntryIndex::RemoveGroup(Group* group) {
  for (const Selector& selector : *group->selectors) {
    auto list = groups_.find(HashOf(ViewOf(selector)));
    CHECK(list != groups_.end());
    auto at = std::ranges::find(list->second, group);
    CHECK(at != list->second.end());
    *at = list->second.back();
    list->second.pop_back();
    if (list->second.empty()) groups_.erase(list);
  }
}

// Two selectors may have one hash: each list is looked through once.
std::vector<HeldEntry*> HeldEntryIndex::Match(const Selectors& selectors) const {
  std::vector<uint64_t> hashes;
  for (const Selector& selector : selectors) hashes.push_back(HashOf(ViewOf(selector)));
  std::ranges::sort(hashes);
  hashes.erase(std::unique(hashes.begin(), hashes.end()), hashes.end());
  std::vector<HeldEntry*> matches;
  for (uint64_t hash : hashes) {
    auto at = entries_.find(hash);
    if (at == entries_.end()) continue;
    for (HeldEntry* held = at->second; held != nullptr; held = held->next) {
      if (IsSubset(held->packed.selectors(), selectors)) matches.push_back(held);
    }
  }
  return matches;
}

const HeldEntryIndex::Groups& HeldEntryIndex::RarestGroups(
    const std::vector<SelectorView>& selectors) const {
  static const Groups kNone;
  const Groups* rarest = nullptr;
  for (const SelectorView& selector : selectors) {
    auto at = groups_.find(HashOf(selector));
    if (at == groups_.end()) return kNone;
    if (rarest == nullptr || at->second.size() < rarest->size()) rarest = &at->second;
  }
  return rarest == nullptr ? kNone : *rarest;
}

void HeldEntryIndex::CollectGroups(const HeldEntry& held, std::set<Group*>& groups) const {
  if (groups_.empty()) return;
  const std::vector<SelectorView> selectors = held.packed.selectors();
  for (Group* group : RarestGroups(selectors)) {
    if (IsSubset(selectors, *group->selectors)) groups.insert(group);
  }
}

}  // namespace writ
