// SPDX-License-Identifier: Apache-2.0
#include "server/entry/registry.h"

#include <atomic>
#include <set>
#include <utility>

#include "core/base/mutex.h"
#include "server/entry/agent_index.h"
#include "server/entry/entry_index.h"

namespace writ {
namespace {

class StoreRegistry final : public Registry {
 public:
  StoreRegistry(Store& store, const TrustDomain& td) : store_(store), entries_(td, pool_) {}
  ~StoreRegistry() override { store_.changes().SetListener(nullptr); }

  Status LoadAll() EXCLUDES(follow_mu_);

  std::optional<Entry> GetEntry(std::string_view id) const override;
  std::vector<Entry> ListEntries(const EntryFilter& filter, std::string_view after,
                                 size_t limit) const override;
  size_t CountEntries(const EntryFilter& filter) const override;
  std::vector<EntryStamp> Authorized(const SpiffeId& agent, Time now) const override;
  std::optional<Entry> AuthorizedEntry(const SpiffeId& agent, std::string_view entry_id,
                                       Time now) const override;
  std::vector<Entry> EntriesOfId(const SpiffeId& id) const override;
  std::optional<Agent> GetAgent(std::string_view id) const override;
  std::vector<Agent> ListAgents(const AgentFilter& filter, std::string_view after,
                                size_t limit) const override;
  size_t CountAgents(const AgentFilter& filter) const override;

 private:
  using Stale = std::set<std::pair<bool, std::string>>;  // is an agent, ID

  void Follow(const std::vector<Change>& changes) EXCLUDES(follow_mu_);
  void CatchUp() const EXCLUDES(follow_mu_);
  void Refresh() const REQUIRES(follow_mu_);
  bool RefreshEntry(const std::string& id) const REQUIRES(follow_mu_);
  bool RefreshAgent(const std::string& id) const REQUIRES(follow_mu_);

  Store& store_;  // borrowed
  // Held from the store's read to the index's change, so that what was read first is put first.
  mutable Mutex follow_mu_;
  mutable Stale stale_ GUARDED_BY(follow_mu_);  // what changed and is still to be read
  mutable std::atomic<bool> behind_ = false;    // stale_ is not empty after a failed read
  mutable SharedMutex mu_;                      // taken after follow_mu_
  mutable SelectorPool pool_ GUARDED_BY(mu_);
  mutable EntryIndex entries_ GUARDED_BY(mu_);
  mutable AgentIndex agents_ GUARDED_BY(mu_){pool_};
};

// ---- following the store ------------------------------------------------------------------------

// Listens first: a change during the load waits for its end and is read again then. No lock is held
// at SetListener, which waits for writes that may wait for Follow.
Status StoreRegistry::LoadAll() {
  store_.changes().SetListener([this](const std::vector<Change>& changes) { Follow(changes); });
  MutexLock follow(follow_mu_);
  WriterLock lock(mu_);
  uint64_t sequence = 0;
  TRY(store_.entries().ForEach(&sequence, [&](Entry entry) { entries_.Put(entry); }),
      "load entries");
  return store_.agents()
      .ForEach(&sequence, [&](Agent agent) { agents_.Put(std::move(agent)); })
      .Annotate("load agents");
}

void StoreRegistry::Follow(const std::vector<Change>& changes) {
  MutexLock follow(follow_mu_);
  for (const Change& change : changes) {
    switch (change.kind) {
      case ChangeKind::kEntryPut:
      case ChangeKind::kEntryDeleted:
        stale_.emplace(false, change.id);
        break;
      case ChangeKind::kAgentPut:
      case ChangeKind::kAgentDeleted:
        stale_.emplace(true, change.id);
        break;
      case ChangeKind::kBundle:
        break;
    }
  }
  Refresh();
}

// Reads what changed. Something that the store cannot tell now is left out, which denies, and is
// asked for again at the next use of the registry.
void StoreRegistry::Refresh() const {
  std::erase_if(stale_, [this](const auto& changed) REQUIRES(follow_mu_) {
    return changed.first ? RefreshAgent(changed.second) : RefreshEntry(changed.second);
  });
  behind_ = !stale_.empty();
}

bool StoreRegistry::RefreshEntry(const std::string& id) const {
  Result<Entry> entry = store_.entries().Get(id);
  WriterLock lock(mu_);
  if (entry.ok()) {
    entries_.Put(*entry);
  } else {
    entries_.Remove(id);
  }
  return entry.ok() || entry.code() == Code::kNotFound;
}

bool StoreRegistry::RefreshAgent(const std::string& id) const {
  Result<Agent> agent = store_.agents().Get(id);
  WriterLock lock(mu_);
  if (agent.ok()) {
    agents_.Put(std::move(*agent));
  } else {
    agents_.Remove(id);
  }
  return agent.ok() || agent.code() == Code::kNotFound;
}

void StoreRegistry::CatchUp() const {
  if (!behind_) return;
  MutexLock follow(follow_mu_);
  Refresh();
}

// ---- answering ----------------------------------------------------------------------------------

std::optional<Entry> StoreRegistry::GetEntry(std::string_view id) const {
  CatchUp();
  ReaderLock lock(mu_);
  return entries_.Get(id);
}

std::vector<Entry> StoreRegistry::ListEntries(const EntryFilter& filter, std::string_view after,
                                              size_t limit) const {
  CatchUp();
  ReaderLock lock(mu_);
  return entries_.List(filter, after, limit);
}

size_t StoreRegistry::CountEntries(const EntryFilter& filter) const {
  CatchUp();
  ReaderLock lock(mu_);
  return entries_.Count(filter);
}

std::vector<EntryStamp> StoreRegistry::Authorized(const SpiffeId& agent, Time now) const {
  CatchUp();
  ReaderLock lock(mu_);
  std::vector<EntryStamp> stamps;
  const auto nodes =
      entries_.Authorized(agent, agents_.SelectorsOf(agent.text()), ToUnixSeconds(now));
  stamps.reserve(nodes.size());
  for (const EntryIndex::Node* node : nodes) {
    stamps.push_back({node->first, node->second.revision, node->second.created_at});
  }
  return stamps;
}

std::optional<Entry> StoreRegistry::AuthorizedEntry(const SpiffeId& agent,
                                                    std::string_view entry_id, Time now) const {
  CatchUp();
  ReaderLock lock(mu_);
  return entries_.AuthorizedEntry(agent, agents_.SelectorsOf(agent.text()), entry_id,
                                  ToUnixSeconds(now));
}

std::vector<Entry> StoreRegistry::EntriesOfId(const SpiffeId& id) const {
  CatchUp();
  ReaderLock lock(mu_);
  return entries_.HoldersOf(id);
}

std::optional<Agent> StoreRegistry::GetAgent(std::string_view id) const {
  CatchUp();
  ReaderLock lock(mu_);
  return agents_.Get(id);
}

std::vector<Agent> StoreRegistry::ListAgents(const AgentFilter& filter, std::string_view after,
                                             size_t limit) const {
  CatchUp();
  ReaderLock lock(mu_);
  return agents_.List(filter, after, limit);
}

size_t StoreRegistry::CountAgents(const AgentFilter& filter) const {
  CatchUp();
  ReaderLock lock(mu_);
  return agents_.Count(filter);
}

}  // namespace

Result<std::unique_ptr<Registry>> Registry::Load(Store& store, const TrustDomain& td) {
  auto registry = std::make_unique<StoreRegistry>(store, td);
  TRY(registry->LoadAll());
  return std::unique_ptr<Registry>(std::move(registry));
}

}  // namespace writ
