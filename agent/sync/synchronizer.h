// SPDX-License-Identifier: Apache-2.0
//
// Synchronizer: one sync brings the cache up to what the server says: entries by revision, the
// bundle, and X.509-SVIDs for entries that are new, changed, near half of their SVID's life, or
// whose authority is tainted. Keys are made fresh for each SVID and live in memory only.
//
// All entries of a sync reach the cache in one Apply, with the first batch of SVIDs, so that a
// swap of a workload's only entry never shows as no identity.
//
// Threads: used by the agent's loop alone.
#pragma once

#include <map>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "agent/cache/cache.h"
#include "agent/client/server_api.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/random.h"
#include "core/crypto/key.h"

namespace writ {

struct SynchronizerOptions {
  KeyType svid_key_type;
  // Borrowed.
  ServerApi* server;
  Cache* cache;
  Clock* clock;
  Random* random;
  Log* log;
};

class Synchronizer {
 public:
  explicit Synchronizer(SynchronizerOptions options) : options_(options) {}

  // `bundle`: what the server has just said. On a failure the cache has what came before it.
  Status Sync(const Bundle& bundle, std::stop_token stop);
  // When the next SVID is to be renewed, as far as is known.
  Time DueAt() const;

 private:
  struct Tracked {
    EntryVersion version;
    SpiffeId spiffe_id;
    int64_t expires_at = 0;
    bool wants_svid = false;  // not one that goes to a secret store
    bool stale = true;        // its SVID is not here, or is not what it should be
    bool refused = false;     // the server's last answer for it was a failure, and is logged
    Time renew_at;
    Time not_after;
    std::string authority_key_id;
  };
  using TrackedEntry = std::map<std::string, Tracked>::value_type;
  struct Order {  // of an SVID
    TrackedEntry* tracked;
    PrivateKey key;
  };

  void Track(const EntryChanges& changes);
  void MarkTainted(const Bundle& bundle);
  bool NeedsSvid(const Tracked& tracked, Time now) const;
  std::vector<TrackedEntry*> Due();
  Status FetchBatch(const std::vector<TrackedEntry*>& batch, const Bundle& bundle,
                    CacheChange& change);
  std::shared_ptr<const HeldX509> Accept(Order& order, const Result<CertificateChain>& result,
                                         const Bundle& bundle);

  const SynchronizerOptions options_;       // constant after construction
  std::map<std::string, Tracked> tracked_;  // by entry ID
  std::set<std::string> tainted_;           // authorities whose SVIDs are marked already
};

// Key IDs (raw) of the bundle's tainted X.509 authorities.
std::set<std::string> TaintedKeyIds(const Bundle& bundle);

}  // namespace writ
