// SPDX-License-Identifier: Apache-2.0
//
// HeldEntryIndex: which entries match a workload's selectors (an entry matches when its selectors
// are a subset of the workload's), and the other way round: which groups of subscribers an entry
// concerns. Selectors are interned, so a match compares sorted numbers. An entry stands under one
// of its selectors, the one that fewest entries stand under at that time: a search for a workload
// looks only below the workload's own selectors.
//
// Threads: not thread-safe; the cache's lock guards it.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "agent/cache/cache.h"

namespace writ {

using SelectorIds = std::vector<uint32_t>;  // sorted

struct HeldEntry;
// Makes the order of work the same in every run.
struct HeldEntryById {
  bool operator()(const HeldEntry* a, const HeldEntry* b) const;
};
struct RenewsBefore {
  bool operator()(const std::pair<Time, HeldEntry*>& a,
                  const std::pair<Time, HeldEntry*>& b) const {
    return a.first != b.first ? a.first < b.first : HeldEntryById()(a.second, b.second);
  }
};
using Renewals = std::set<std::pair<Time, HeldEntry*>, RenewsBefore>;

// An entry that the cache holds.
struct HeldEntry {
  std::shared_ptr<const Entry> entry;
  std::shared_ptr<const HeldX509> x509;  // set by X509Shelf
  bool expired = false;

  SelectorIds selectors;  // set by HeldEntryIndex, as is
  uint32_t key = 0;       // the selector that it stands under

  // The rest is X509Shelf's.
  enum class Place : uint8_t {
    kNone,     // gets no SVID
    kAbsent,   // without an SVID, and nobody waits for it
    kAwaited,  // without an SVID that subscribers wait for
    kIdle,     // with an SVID that nobody uses now
    kInUse,    // with an SVID and subscribers
  };
  Place place = Place::kNone;
  bool scheduled = false;               // `renewal` is set: an SVID is held
  uint32_t demand = 0;                  // groups that want its SVID
  uint32_t absent = 0;                  // its index, in kAbsent
  std::list<HeldEntry*>::iterator idle;  // in kIdle
  Renewals::iterator renewal;
};

inline bool HeldEntryById::operator()(const HeldEntry* a, const HeldEntry* b) const {
  return a->entry->id < b->entry->id;
}

struct Slot;  // cache.cc: one subscriber

// Subscribers with equal selectors.
struct Group {
  SelectorIds selectors;  // set by HeldEntryIndex
  std::shared_ptr<const WorkloadUpdate> update;
  std::set<std::shared_ptr<Slot>> slots;
  size_t x509_slots = 0;  // those among them that want X.509-SVIDs
};

class HeldEntryIndex {
 public:
  // Entries and groups are borrowed from Add to Remove. An entry without selectors matches nobody.
  void Add(HeldEntry* held);
  void Remove(HeldEntry* held);
  void AddGroup(Group* group, const Selectors& selectors);
  void RemoveGroup(Group* group);

  // The selectors among these that some entry or group has.
  SelectorIds Known(const Selectors& selectors) const;
  // Entries whose selectors are a subset of these, in no particular order.
  std::vector<HeldEntry*> Match(const SelectorIds& selectors) const;
  void CollectGroups(const HeldEntry& held, std::set<Group*>& groups) const;
  // Whether an entry with these selectors would concern a group that wants X.509-SVIDs.
  bool IsWanted(const Selectors& selectors) const;

 private:
  struct Place {
    Selector selector;
    uint32_t uses = 0;
    std::vector<HeldEntry*> entries;  // that stand under this selector
    std::vector<Group*> groups;       // that have this selector
  };
  struct SelectorHash {
    size_t operator()(const Selector& s) const {
      return std::hash<std::string>()(s.value) * 31 + std::hash<std::string>()(s.type);
    }
  };

  const std::vector<Group*>& RarestGroups(const SelectorIds& selectors) const;
  SelectorIds Intern(const Selectors& selectors);
  void Release(const SelectorIds& ids);

  std::unordered_map<Selector, uint32_t, SelectorHash> ids_;
  std::vector<Place> places_;   // by ID
  std::vector<uint32_t> free_;  // IDs of places that nobody uses
};

}  // namespace writ
