// SPDX-License-Identifier: Apache-2.0
//
// Cache: what this agent may hand out, by selectors. Written by agent/sync alone (Apply), read by
// the Workload API: a subscriber gets the newest update for its selectors, at once and again at every
// change that concerns it, newest wins: a slow subscriber holds one pending update, never a queue.
//
// An update is equal to the one before it exactly when nothing that the workload would see changed,
// and then it is not delivered. A subscriber whose last entry went gets kNoIdentity at that Apply; a swap of entries
// within one Apply never shows as an empty state.
//
// Threads: thread-safe. Notify callbacks run on the writer's thread and must only schedule work.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/secret.h"
#include "core/base/status.h"
#include "core/crypto/key.h"
#include "core/spiffe/bundle.h"
#include "core/spiffe/entry.h"

namespace writ {

// An X.509-SVID that is held for an entry. Immutable, shared by all who are served with it.
struct HeldX509 {
  std::string chain_der;         // leaf and intermediates, concatenated
  Secret key_pkcs8;              // what the Workload API hands out
  Time not_before;
  Time not_after;
  std::string authority_key_id;  // raw: to find those of a tainted authority
};

struct HeldJwt {
  std::string token;
  Time issued_at;
  Time expires_at;
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
    kPending,     // entries match, but an X.509-SVID is not here yet: wait
    kReady,
  };
  State state = State::kNotSynced;
  std::vector<Identity> identities;  // by entry ID; store_svid and expired entries left out
  std::shared_ptr<const Bundle> bundle;
  std::vector<std::shared_ptr<const Bundle>> federated;  // of the entries' federates_with, by name
};

class Subscription {
 public:
  virtual ~Subscription() = default;  // unsubscribes
  // The newest update that differs from what the last Take() gave; nothing when there is none.
  virtual std::shared_ptr<const WorkloadUpdate> Take() = 0;
};

// What a sync changed. Entries are whole; `removed` holds entry IDs.
struct CacheChange {
  std::vector<Entry> put;
  std::vector<std::string> removed;
  std::map<std::string, std::shared_ptr<const HeldX509>> x509;  // by entry ID
  std::shared_ptr<const Bundle> bundle;                         // null: unchanged
};

class Cache {
 public:
  static std::unique_ptr<Cache> Make(Clock* clock, size_t x509_max, size_t jwt_max);
  virtual ~Cache() = default;

  virtual void Apply(CacheChange change) = 0;
  // `notify`: something new can be taken. Called first from within Subscribe when there is already.
  virtual std::unique_ptr<Subscription> Subscribe(Selectors selectors,
                                                  std::function<void()> notify) = 0;
  // The state now, without subscribing.
  virtual std::shared_ptr<const WorkloadUpdate> Lookup(const Selectors& selectors) = 0;

  virtual std::shared_ptr<const Bundle> CurrentBundle() const = 0;  // null before the first
  // Cached JWT-SVIDs, by entry and sorted audiences.
  virtual std::optional<HeldJwt> FindJwt(const std::string& entry_id,
                                         const std::vector<std::string>& sorted_audience) = 0;
  virtual void PutJwt(const std::string& entry_id, const std::vector<std::string>& sorted_audience,
                      HeldJwt jwt) = 0;
};

}  // namespace writ
