// SPDX-License-Identifier: Apache-2.0
#include "agent/cache/entry_index.h"

#include <algorithm>

namespace writ {
namespace {

template <typename T>
void Erase(std::vector<T*>& from, T* item) {
  auto at = std::find(from.begin(), from.end(), item);
  CHECK(at != from.end());
  *at = from.back();
  from.pop_back();
}

bool IsSubset(const SelectorIds& subset, const SelectorIds& of) {
  return std::includes(of.begin(), of.end(), subset.begin(), subset.end());
}

}  // namespace

SelectorIds HeldEntryIndex::Intern(const Selectors& selectors) {
  SelectorIds ids;
  ids.reserve(selectors.size());
  for (const Selector& selector : selectors) {
    auto [at, is_new] = ids_.try_emplace(selector, 0);
    if (is_new) {
      if (free_.empty()) {
        free_.push_back(static_cast<uint32_t>(places_.size()));
        places_.emplace_back();
      }
      at->second = free_.back();
      free_.pop_back();
      places_[at->second].selector = selector;
    }
    ++places_[at->second].uses;
    ids.push_back(at->second);
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

void HeldEntryIndex::Release(const SelectorIds& ids) {
  for (uint32_t id : ids) {
    Place& place = places_[id];
    if (--place.uses != 0) continue;
    ids_.erase(place.selector);
    place = Place();
    free_.push_back(id);
  }
}

void HeldEntryIndex::Add(HeldEntry* held) {
  held->selectors = Intern(held->entry->selectors);
  if (held->selectors.empty()) return;
  held->key = *std::min_element(held->selectors.begin(), held->selectors.end(),
                                [this](uint32_t a, uint32_t b) {
                                  return places_[a].entries.size() < places_[b].entries.size();
                                });
  places_[held->key].entries.push_back(held);
}

void HeldEntryIndex::Remove(HeldEntry* held) {
  if (held->selectors.empty()) return;
  Erase(places_[held->key].entries, held);
  Release(held->selectors);
  held->selectors.clear();
}

void HeldEntryIndex::AddGroup(Group* group, const Selectors& selectors) {
  group->selectors = Intern(selectors);
  for (uint32_t id : group->selectors) places_[id].groups.push_back(group);
}

void HeldEntryIndex::RemoveGroup(Group* group) {
  for (uint32_t id : group->selectors) Erase(places_[id].groups, group);
  Release(group->selectors);
  group->selectors.clear();
}

SelectorIds HeldEntryIndex::Known(const Selectors& selectors) const {
  SelectorIds ids;
  for (const Selector& selector : selectors) {
    auto at = ids_.find(selector);
    if (at != ids_.end()) ids.push_back(at->second);
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

std::vector<HeldEntry*> HeldEntryIndex::Match(const SelectorIds& selectors) const {
  std::vector<HeldEntry*> matches;
  for (uint32_t id : selectors) {
    for (HeldEntry* held : places_[id].entries) {
      if (IsSubset(held->selectors, selectors)) matches.push_back(held);
    }
  }
  return matches;
}

const std::vector<Group*>& HeldEntryIndex::RarestGroups(const SelectorIds& selectors) const {
  uint32_t rarest = *std::min_element(selectors.begin(), selectors.end(),
                                      [this](uint32_t a, uint32_t b) {
                                        return places_[a].groups.size() < places_[b].groups.size();
                                      });
  return places_[rarest].groups;
}

void HeldEntryIndex::CollectGroups(const HeldEntry& held, std::set<Group*>& groups) const {
  if (held.selectors.empty()) return;
  for (Group* group : RarestGroups(held.selectors)) {
    if (IsSubset(held.selectors, group->selectors)) groups.insert(group);
  }
}

bool HeldEntryIndex::IsWanted(const Selectors& selectors) const {
  const SelectorIds ids = Known(selectors);
  if (ids.empty() || ids.size() != selectors.size()) return false;
  return std::ranges::any_of(RarestGroups(ids), [&ids](const Group* group) {
    return group->x509_slots > 0 && IsSubset(ids, group->selectors);
  });
}

}  // namespace writ
