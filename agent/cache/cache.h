// SPDX-License-Identifier: Apache-2.0
//
// Cache: what this agent may hand out, by selectors. Written by agent/sync alone (Apply), read by
// the Workload API: a subscriber gets the newest update for its selectors, at once and again at
// every change that concerns it, newest wins: a slow subscriber holds one pending update, never a
// queue.
//
// An update is equal to the one before it exactly when nothing that the workload would see changed,
// and then it is not delivered. A subscriber whose last entry went gets kNoIdentity at that Apply;
// a swap of entries within one Apply never shows as an empty state.
//
// X.509-SVIDs and JWT-SVIDs are bounded (CacheLimits); an entry without its SVID is served as soon
// as a subscriber has come and agent/sync has fetched it.
//
// Cost: an Apply looks at the subscribers whose selectors an entry concerns, not at all of them,
// and subscribers with equal selectors share one update.
//
// Threads: thread-safe. Notify callbacks run on the writer's thread, with no lock of the cache that
// Take() needs, and must only schedule work. A Subscription must not be destroyed under a lock that
// its callback takes: its destructor waits for a running callback.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/secret.h"
#include "core/base/status.h"
#include "core/crypto/key.h"
#include "core/spiffe/bundle.h"
#include "core/spiffe/entry.h"
#include "core/spiffe/packed_entry.h"

namespace writ {

// An X.509-SVID that is held for an entry. Immutable, shared by all who are served with it.
struct HeldX509 {
  std::string chain_der;  // leaf and intermediates, concatenated
  Secret key_pkcs8;       // what the Workload API hands out
  Time not_before;
  Time not_after;
  Time renew_at;
};

struct HeldJwt {
  std::string token;
  std::string key_id;  // of the authority that signed it
  Time issued_at;
  Time expires_at;
  Time renew_at;  // as good as new until then
};

// One identity of a workload: the entry, and its SVID when it is here.
struct Identity {
  std::shared_ptr<const Entry> entry;
  std::shared_ptr<const HeldX509> x509;  // null: not issued yet
};

// What a workload with certain selectors may have.
struct WorkloadUpdate {
  enum class State {
    kNotSynced,   // nothing is known yet: the agent has not finished its first sync
    kNoIdentity,  // no entry matches
    // Entries match, but not every X.509-SVID is here yet: wait. A stream that has answered before
    // goes on with those that are here, so that one entry that the server refuses cannot keep the
    // others from rotating.
    kPending,
    kReady,
  };
  State state = State::kNotSynced;
  // In the order of their entry IDs. Left out: entries that are expired or `store_svid`, and those
  // whose hint another one has too (the older one keeps it, then the smaller entry ID).
  std::vector<Identity> identities;
  std::shared_ptr<const Bundle> bundle;
};

class Subscription {
 public:
  virtual ~Subscription() = default;  // unsubscribes
  // The newest update that differs from what the last Take() gave; nothing when there is none.
  virtual std::shared_ptr<const WorkloadUpdate> Take() = 0;
  virtual const Selectors& selectors() const = 0;
};

// What a sync changed. Entries are whole; `removed` holds entry IDs. A changed entry keeps the SVID
// that is held for it until a new one comes, unless its SPIFFE ID is another one now.
struct CacheChange {
  std::vector<PackedEntry> put;
  std::vector<std::string> removed;
  std::map<std::string, std::shared_ptr<const HeldX509>> x509;  // by entry ID
  std::shared_ptr<const Bundle> bundle;                         // null: unchanged
};

// Key IDs (raw) of the bundle's tainted X.509 authorities.
std::set<std::string> TaintedKeyIds(const Bundle& bundle);
// Whether one of them signed the leaf or what is above it. A certificate that does not say whose
// key signed it (as Go makes them where both names are equal) counts as theirs. Reads the chain
// anew: taints are rare, and what is held is many.
bool RestsOn(const HeldX509& svid, const std::set<std::string>& authority_key_ids);

// An X.509-SVID that is to be issued.
struct X509Want {
  std::string entry_id;
  SpiffeId spiffe_id;
};

// What agent/sync writes, and what it learns from there: which SVIDs are to be issued.
class CacheFeed : public HeldEntries {
 public:
  virtual ~CacheFeed() = default;

  virtual void Apply(CacheChange change) = 0;
  // Takes out what has ended by now: X.509-SVIDs, JWT-SVIDs and entries. Returns when the next of
  // them ends.
  virtual Time DropExpired() = 0;
  // Whether an entry had ended when it came, or at the last DropExpired().
  virtual bool HoldsEnded() const = 0;

  // First those that subscribers wait for, then those that are due for renewal, then those that
  // are worth having ahead of demand.
  virtual std::vector<X509Want> Wanted() = 0;
  // Those alone that subscribers wait for, or in whose place they hold what is no longer right.
  virtual std::vector<X509Want> Urgent() = 0;
  // `awaited`: a new subscriber waits for an SVID. Set before the first Subscribe; must only
  // schedule work.
  virtual void OnAwaited(std::function<void()> awaited) = 0;
  virtual Time NextRenewal() const = 0;
  // The server refused an SVID for the entry: what is held is due again after `pause`, or a tenth
  // of what is left of its life if that is less. How long it is put off.
  virtual Duration PutOff(std::string_view entry_id, Duration pause) = 0;
};

struct CacheLimits {
  // X.509-SVIDs. Those with a subscriber are never given up and may exceed it; the least recently
  // used of the others go first.
  int64_t x509_max = 1000;
  int64_t jwt_max = 1000;  // JWT-SVIDs; the least recently used goes first
};

struct CacheCounts {
  size_t entries = 0;
  size_t x509 = 0;
  size_t jwt = 0;
  uint64_t x509_given_up = 0;  // since the start, to make room
  uint64_t jwt_given_up = 0;   // likewise
};

// What a subscriber needs from the cache besides the bundle.
enum class Interest { kX509, kBundle };

class Cache : public CacheFeed {
 public:
  static std::shared_ptr<Cache> Make(Clock* clock, CacheLimits limits);

  // `notify`: something new has come since, and can be taken. The first Take() gives what is there
  // already.
  virtual std::unique_ptr<Subscription> Subscribe(Selectors selectors, Interest interest,
                                                  std::function<void()> notify) = 0;
  // The state now, without subscribing.
  virtual std::shared_ptr<const WorkloadUpdate> Lookup(const Selectors& selectors) = 0;

  virtual std::shared_ptr<const Bundle> CurrentBundle() const = 0;  // null before the first
  // All of them, in no particular order: for an operator's question, not for a workload's.
  virtual std::vector<PackedEntry> Entries() const = 0;
  virtual CacheCounts Counts() const = 0;
  // JWT-SVIDs, by entry and audiences (sorted, without repeats). One of an entry that has changed
  // or gone since, or whose authority is tainted or no longer in the bundle, is not found.
  virtual std::optional<HeldJwt> FindJwt(const Entry& entry,
                                         const std::vector<std::string>& audience) = 0;
  virtual void PutJwt(const Entry& entry, const std::vector<std::string>& audience,
                      HeldJwt jwt) = 0;
};

}  // namespace writ
