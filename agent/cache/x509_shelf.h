// SPDX-License-Identifier: Apache-2.0
//
// X509Shelf: which of the cache's entries hold an X.509-SVID, which are to get one, and which one
// goes when there are too many.
//
// At most `held_max` SVIDs are held. Those that a subscriber wants are never given up and may
// exceed it; what no subscriber wants makes room, the least recently used first. What is free is
// filled ahead of demand, unless the entry says that it does not want that.
//
// Cost: giving up an SVID, and every other step, is constant but for the order of renewals, which
// is logarithmic in what is held.
//
// Threads: not thread-safe; the cache's lock guards it.
#pragma once

#include <list>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent/cache/entry_index.h"
#include "core/base/clock.h"

namespace writ {

class X509Shelf {
 public:
  explicit X509Shelf(size_t held_max) : held_max_(held_max) {}

  // Entries are borrowed from their first Refile() to Remove(). To be called whenever what an entry
  // is (expired, stored, without prefetch), or who wants it, has changed.
  void Refile(HeldEntry* held);
  void Remove(HeldEntry* held);
  // Takes an SVID in; null drops the one that is held.
  void SetX509(HeldEntry* held, std::shared_ptr<const HeldX509> x509);
  // The SVID that is held, if any, no longer is what it should be.
  void RenewNow(HeldEntry* held);
  // It is not renewed before a pause, which leaves most of its life; returns how long that is.
  Duration PutOff(HeldEntry* held, Time now, Duration pause);
  // Subscribers that came to, or left, the entry.
  void AddDemand(HeldEntry* held);
  void DropDemand(HeldEntry* held);

  // Gives up what exceeds the limit and says of which entries.
  std::vector<HeldEntry*> Shrink();
  // What is to be issued now: first what subscribers wait for, then what is due for renewal, then
  // as many others as there is room for.
  std::vector<HeldEntry*> Wanted(Time now);
  // What subscribers wait for, and what they hold that is to be renewed at once.
  std::vector<HeldEntry*> Urgent() const;
  // Those whose SVID was signed by one of these authorities (raw key IDs).
  void RenewSignedBy(const std::set<std::string>& authority_key_ids);

  size_t Room() const;
  Time NextRenewal() const;
  size_t held_count() const { return renewals_.size(); }
  uint64_t given_up_count() const { return given_up_; }

 private:
  void Leave(HeldEntry* held);
  void Enter(HeldEntry* held, HeldEntry::Place place);
  HeldEntry::Place PlaceOf(const HeldEntry& held) const;
  void Schedule(HeldEntry* held, Time at);
  void Unschedule(HeldEntry* held);

  const size_t held_max_;
  Renewals renewals_;                            // of all that are held
  std::list<HeldEntry*> idle_;                   // held and wanted by nobody, last used first
  std::set<HeldEntry*, HeldEntryById> awaited_;  // wanted and not held
  std::vector<HeldEntry*> absent_;               // not held, filled in when there is room
  uint64_t given_up_ = 0;   // by Shrink(), ever
  size_t next_absent_ = 0;  // where Wanted() goes on, so that one refusal does not stop the others
};

}  // namespace writ
