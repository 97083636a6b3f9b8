// SPDX-License-Identifier: Apache-2.0
//
// EntryApi: what SPIRE's Entry service does, a function for each method. Reads come from the
// Registry, writes go to the store. Batches answer item by item and never fail as a whole.
//
// Threads: thread-safe. May block (store writes).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/random.h"
#include "server/api/call.h"
#include "server/api/stream.h"
#include "server/entry/registry.h"
#include "server/store/store.h"
#include "spire/api/server/entry/v1/entry.pb.h"

namespace writ {

namespace entry_pb = spire::api::server::entry::v1;

// A sync or a list is answered whole up to this many entries, and in pages of it above.
inline constexpr size_t kEntryPageItems = 500;

// How many conversations of SyncAuthorizedEntries each agent has open. Thread-safe.
class SyncPlaces;
std::shared_ptr<SyncPlaces> MakeSyncPlaces();
inline constexpr size_t kSyncsPerAgentMax = 4;

class EntryApi {
 public:
  EntryApi(TrustDomain td, const Registry* registry, EntryStore* store, Clock* clock,
           Random* random)
      : td_(std::move(td)), registry_(registry), store_(store), clock_(clock), random_(random) {}

  Result<entry_pb::CountEntriesResponse> CountEntries(Call& call,
                                                      const entry_pb::CountEntriesRequest& request);
  Result<entry_pb::ListEntriesResponse> ListEntries(Call& call,
                                                    const entry_pb::ListEntriesRequest& request);
  Result<spire::api::types::Entry> GetEntry(Call& call, const entry_pb::GetEntryRequest& request);
  Result<entry_pb::BatchCreateEntryResponse> BatchCreateEntry(
      Call& call, const entry_pb::BatchCreateEntryRequest& request);
  Result<entry_pb::BatchUpdateEntryResponse> BatchUpdateEntry(
      Call& call, const entry_pb::BatchUpdateEntryRequest& request);
  Result<entry_pb::BatchDeleteEntryResponse> BatchDeleteEntry(
      Call& call, const entry_pb::BatchDeleteEntryRequest& request);
  Result<entry_pb::GetAuthorizedEntriesResponse> GetAuthorizedEntries(
      Call& call, const entry_pb::GetAuthorizedEntriesRequest& request);

  using Sync =
      Conversation<entry_pb::SyncAuthorizedEntriesRequest, entry_pb::SyncAuthorizedEntriesResponse>;
  std::unique_ptr<Sync> SyncAuthorizedEntries();

 private:
  Status CheckFederatesWith(const std::vector<std::string>& names) const;
  Result<EntryStore::Update> UpdateFrom(const spire::api::types::Entry& entry,
                                        const spire::api::types::EntryMask* mask) const;

  const TrustDomain td_;
  const std::shared_ptr<SyncPlaces> sync_places_ = MakeSyncPlaces();
  const Registry* const registry_;  // all borrowed
  EntryStore* const store_;
  Clock* const clock_;
  Random* const random_;
};

}  // namespace writ
