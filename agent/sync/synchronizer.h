// SPDX-License-Identifier: Apache-2.0
//
// Synchronizer: brings the cache up to what the server says: all of it by a sync (entries by
// revision, the bundle), or what its notices tell; then the X.509-SVIDs that the cache wants. Keys
// are made fresh for each SVID and live in memory only.
//
// All entries of a sync, or of the notices taken together, reach the cache in one Apply, with the
// first batch of the SVIDs that subscribers need because of them, so that a swap of entries never
// shows as a gap.
//
// Threads: used by the agent's loop alone.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <utility>
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
  Duration retry_after;  // at most so long after a refusal, what was refused is asked for again
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

  // `bundle`: what the server has just said. On a failure the cache has what came before it. Of the
  // SVIDs only a batch of those that subscribers need comes with it; Renew() fetches the others.
  Status Sync(const Bundle& bundle);
  // Without a resync among them, and after the first sync. What is held already costs nothing.
  Status Take(std::vector<Notice> notices, std::stop_token stop);
  // SVIDs that subscribers wait for, those that are due, and those worth having ahead of demand;
  // those that the server refused when it is time to ask again.
  Status Renew(std::stop_token stop);
  // Between two syncs: fetches what a subscriber has come for since.
  Status FetchAwaited(std::stop_token stop);
  // Whether an entry that is held has ended: what hangs below it at the server ends with it, of
  // which no notice tells.
  bool HoldsEnded() const { return options_.cache->HoldsEnded(); }
  // When the next SVID is to be renewed.
  Time DueAt() const { return options_.cache->NextRenewal(); }
  uint64_t issued_count() const { return issued_; }     // ever, as is
  uint64_t refused_count() const { return rejected_; }  // answers that were no SVID

 private:
  struct Order {  // of an SVID
    const X509Want* want;
    PrivateKey key;
  };

  Status Apply(EntryChanges changes);
  bool IsNews(const PackedEntry& entry) const;
  void DropRefused(std::vector<X509Want>& wants) const;
  bool Refuse(const std::string& entry_id);
  Status FetchAll(const std::vector<X509Want>& wants, const std::stop_token& stop);
  bool GoesOnInSmallerBatches(size_t asked, const Status& answer);
  Status FetchBatch(std::span<const X509Want> batch, CacheChange& change);
  std::shared_ptr<const HeldX509> Accept(const Order& order,
                                         const Result<CertificateChain>& result);

  const SynchronizerOptions options_;     // constant after construction
  std::map<std::string, MonoTime> refused_;  // of the entries, the last answer was a failure: when
                                             // to ask again
  std::shared_ptr<const Bundle> bundle_;     // the last; null before the first sync
  size_t batch_max_ = kX509BatchMax;         // of SVIDs; at most that, and less where it fails
  uint64_t issued_ = 0;
  uint64_t rejected_ = 0;
};

}  // namespace writ
