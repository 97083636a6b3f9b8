// SPDX-License-Identifier: Apache-2.0
//
// StoreRegistry: the Registry over a store: the two indexes, the feeds of the agents that follow,
// and the one listener that keeps them current.
//
// Locks, in this order: follow_mu_ (one change at a time, from the store's read to the last feed),
// mu_ (the indexes), each FeedQueue's own.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "core/base/mutex.h"
#include "server/entry/agent_index.h"
#include "server/entry/entry_index.h"
#include "server/entry/feed_index.h"
#include "server/entry/registry.h"

namespace writ {

class StoreRegistry final : public Registry {
 public:
  StoreRegistry(Store& store, const TrustDomain& td)
      : store_(store), td_(td), entries_(td, pool_) {}
  ~StoreRegistry() override { store_.changes().SetListener(nullptr); }

  Status LoadAll() EXCLUDES(follow_mu_);

  std::optional<Entry> GetEntry(std::string_view id) const override;
  std::vector<Entry> ListEntries(const EntryFilter& filter, int64_t after,
                                 size_t limit) const override;
  size_t CountEntries(const EntryFilter& filter) const override;
  std::vector<EntryStamp> Authorized(const SpiffeId& agent, Time now) const override;
  std::optional<Entry> AuthorizedEntry(const SpiffeId& agent, std::string_view entry_id,
                                       Time now) const override;
  size_t VisitAuthorized(const SpiffeId& agent, std::span<const std::string> ids, Time now,
                         const std::function<bool(const Entry&)>& visit) const override;
  std::vector<Entry> EntriesOfId(const SpiffeId& id) const override;
  std::optional<Agent> GetAgent(std::string_view id) const override;
  std::vector<Agent> ListAgents(const AgentFilter& filter, int64_t after,
                                size_t limit) const override;
  size_t CountAgents(const AgentFilter& filter) const override;

  Result<std::unique_ptr<AgentFeed>> Follow(const SpiffeId& agent, uint64_t after,
                                            std::function<void()> notify) override;

  // ---- what a feed asks (registry_feeds.cc) ----

  // The last change that every feed it concerns holds.
  uint64_t followed() const { return followed_; }
  void CatchUp() const EXCLUDES(follow_mu_);
  // When the agent's authorizations change by themselves, and whether they have before.
  struct Ends {
    Time next;
    bool some_ended;
  };
  Ends EndsOf(const SpiffeId& agent, Time now) const EXCLUDES(mu_);
  // Adds these entries as they are for the agent.
  void Tell(const SpiffeId& agent, std::span<const std::string> ids, Time now, Told* told) const
      EXCLUDES(mu_);
  void EndFeed(FeedQueue& feed) EXCLUDES(mu_);
  // Is an agent, ID; the entry where it need not be read.
  using Stale = std::map<std::pair<bool, std::string>, std::shared_ptr<const Entry>>;

  void OnChanges(const std::vector<Change>& changes) EXCLUDES(follow_mu_);
  void Refresh() const REQUIRES(follow_mu_);
  bool RefreshEntry(const std::string& id, const Entry* known) const REQUIRES(follow_mu_);
  bool RefreshAgent(const std::string& id) const REQUIRES(follow_mu_);

  // A change on its way to the feeds that it concerns.
  struct Telling {
    FeedNote note;
    FeedIndex::Feeds feeds;
    std::unordered_set<std::string> reach;  // entry IDs
  };
  // Adds what each change concerns as things are now.
  void Collect(const std::vector<Change>& changes, std::vector<Telling>& tellings) const
      EXCLUDES(mu_);
  void CollectEntry(const Change& change, Telling& telling) const;
  // Adds the entries that the change of an entry may give to somebody or take away; false when they
  // are too many.
  bool CollectReach(const Change& change, std::unordered_set<std::string>& reach) const;
  static void Deliver(std::vector<Telling> tellings);
  void ResyncAll() const EXCLUDES(mu_);
  // Appends the changes up to `until`; false when they are too many or not kept.
  Result<bool> ReadPast(uint64_t after, uint64_t until, std::vector<Change>& past);
  FeedNote NoteOfPast(const SpiffeId& agent, const std::vector<Change>& past) const;

  Store& store_;  // borrowed
  const TrustDomain td_;
  // Held from the store's read to the index's change, so that what was read first is put first.
  mutable Mutex follow_mu_;
  mutable Stale stale_ GUARDED_BY(follow_mu_);  // what changed and is still to be read
  mutable std::atomic<bool> behind_ = false;    // stale_ is not empty after a failed read
  std::atomic<uint64_t> followed_ = 0;          // written under follow_mu_
  mutable SharedMutex mu_;                      // taken after follow_mu_
  mutable SelectorPool pool_ GUARDED_BY(mu_);
  mutable EntryIndex entries_ GUARDED_BY(mu_);
  mutable AgentIndex agents_ GUARDED_BY(mu_){pool_};
  mutable FeedIndex feeds_ GUARDED_BY(mu_){pool_};
};

}  // namespace writ
