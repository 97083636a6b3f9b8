// SPDX-License-Identifier: Apache-2.0
//
// Synchronizer: brings the cache up to what the server says: all of it by a sync (entries by
// revision, the bundle), or what its notices tell.
//
// All entries of a sync, or of the notices taken together, reach the cache in one Apply, at once:
// what is gone is gone, whatever must be fetched for what has come. A workload that is left with
// nothing but entries whose SVIDs are not here yet waits for them: such a swap shows no gap.
//
// Threads: used by the agent's loop alone.
#pragma once

#include <memory>
#include <vector>

#include "agent/cache/cache.h"
#include "agent/client/server_api.h"
#include "agent/sync/x509_fetcher.h"
#include "core/base/log.h"

namespace writ {

struct SynchronizerOptions {
  // Borrowed.
  ServerApi* server;
  Cache* cache;
  X509Fetcher* fetcher;
  Log* log;
};

class Synchronizer {
 public:
  explicit Synchronizer(SynchronizerOptions options) : options_(options) {}

  // `bundle`: what the server has just said.
  Status Sync(const Bundle& bundle);
  // Without a resync among them, and after the first sync. What is held already costs nothing.
  void Take(std::vector<Notice> notices);

 private:
  void Apply(EntryChanges changes);
  bool IsNews(const PackedEntry& entry) const;

  const SynchronizerOptions options_;     // constant after construction
  std::shared_ptr<const Bundle> bundle_;  // the last; null before the first sync
};

}  // namespace writ
