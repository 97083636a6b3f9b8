// SPDX-License-Identifier: Apache-2.0
//
// HeldEntryIndex: which entries match a workload's selectors (an entry matches when its selectors
// are a subset of the workload's), and the other way round: which groups of subscribers an entry
// concerns. An entry stands under one of its selectors, the one that fewest entries stand under at
// that time: a search for a workload looks only below the workload's own selectors. The index knows
// selectors by their hashes; whether they are the same, the entry's own text says.
//
// Threads: not thread-safe; the cache's lock guards it.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "agent/cache/cache.h"

namespace writ {

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

// What few of the entries have: an SVID. X509Shelf's.
struct Shelved {
  std::shared_ptr<const HeldX509> x509;
  bool scheduled = false;  // `renewal` is set
  Renewals::iterator renewal;
  std::list<HeldEntry*>::iterator idle;  // in kIdle
};

// An entry that the cache holds. There are very many: each byte here counts.
struct HeldEntry {
  explicit HeldEntry(PackedEntry entry) : packed(std::move(entry)) {}

  PackedEntry packed;

  // HeldEntryIndex's.
  HeldEntry* next = nullptr;  // under the same selector
  uint32_t from_here = 0;     // how many stand there; only the first one knows
  uint16_t key = 0;           // which of its selectors it stands under

  bool expired = false;

  // The rest is X509Shelf's.
  enum class Place : uint8_t {
    kNone,     // gets no SVID
    kAbsent,   // without an SVID, and nobody waits for it
    kAwaited,  // without an SVID that subscribers wait for
    kIdle,     // with an SVID that nobody uses now
    kInUse,    // with an SVID and subscribers
  };
  Place place = Place::kNone;
  uint32_t demand = 0;               // groups that want its SVID
  uint32_t absent = 0;               // its index, in kAbsent
  std::unique_ptr<Shelved> shelved;  // null: without an SVID

  std::shared_ptr<const HeldX509> x509() const { return shelved ? shelved->x509 : nullptr; }
};

inline bool HeldEntryById::operator()(const HeldEntry* a, const HeldEntry* b) const {
  return a->packed.id() < b->packed.id();
}

struct Slot;  // cache.cc: one subscriber

// Subscribers with equal selectors.
struct Group {
  const Selectors* selectors = nullptr;  // set by HeldEntryIndex, borrowed
  std::shared_ptr<const WorkloadUpdate> update;
  std::set<std::shared_ptr<Slot>> slots;
  size_t x509_slots = 0;  // those among them that want X.509-SVIDs
};

class HeldEntryIndex {
 public:
  // Entries and groups are borrowed from Add to Remove. An entry without selectors matches nobody.
  void Add(HeldEntry* held);
  void Remove(HeldEntry* held);
  void AddGroup(Group* group, const Selectors* selectors);
  void RemoveGroup(Group* group);

  // Entries whose selectors are a subset of these, in no particular order.
  std::vector<HeldEntry*> Match(const Selectors& selectors) const;
  void CollectGroups(const HeldEntry& held, std::set<Group*>& groups) const;

 private:
  using Groups = std::vector<Group*>;

  uint32_t CountUnder(const SelectorView& selector) const;
  // Of the lists in which every group with these selectors is, the shortest.
  const Groups& RarestGroups(const std::vector<SelectorView>& selectors) const;

  std::unordered_map<uint64_t, HeldEntry*> entries_;  // the first, by the hash of the selector
  std::unordered_map<uint64_t, Groups> groups_;       // by that of each of their selectors
};

}  // namespace writ
