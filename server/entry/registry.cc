// SPDX-License-Identifier: Apache-2.0
#include "server/entry/registry.h"

#include <algorithm>
#include <utility>

#include "server/entry/entry_pipe.h"
#include "server/entry/store_registry.h"

namespace writ {

// ---- following the store ------------------------------------------------------------------------

// Listens first: a change during the load waits for its end and is read again then. No lock is held
// at SetListener, which waits for writes that may wait for OnChanges.
Status StoreRegistry::LoadAll() {
  store_.changes().SetListener([this](const std::vector<Change>& changes) { OnChanges(changes); });
  MutexLock follow(follow_mu_);
  WriterLock lock(mu_);
  uint64_t sequence = 0;
  const auto put = [this](Entry entry) REQUIRES(mu_) { entries_.Put(std::move(entry)); };
  TRY(ForEachEntry(store_.entries(), &sequence, put), "load entries");
  followed_ = sequence;
  return store_.agents()
      .ForEach(&sequence, [&](Agent agent) { agents_.Put(std::move(agent)); })
      .Annotate("load agents");
}

// What a change concerns is asked before and after: an entry that moves goes from some and comes to
// others.
void StoreRegistry::OnChanges(const std::vector<Change>& changes) {
  MutexLock follow(follow_mu_);
  std::vector<Telling> tellings(changes.size());
  Collect(changes, tellings);
  for (const Change& change : changes) {
    switch (change.kind) {
      case ChangeKind::kEntryPut:
      case ChangeKind::kEntryDeleted:
        stale_.insert_or_assign({false, change.id}, change.entry);
        break;
      case ChangeKind::kAgentPut:
      case ChangeKind::kAgentDeleted:
        stale_.insert_or_assign({true, change.id}, nullptr);
        break;
      case ChangeKind::kBundle:
        break;
    }
  }
  Refresh();
  Collect(changes, tellings);
  Deliver(std::move(tellings));
  followed_ = std::max(followed_.load(), changes.back().sequence);
}

// Reads what changed. Something that the store cannot tell now is left out, which denies, and is
// asked for again at the next use of the registry.
void StoreRegistry::Refresh() const {
  std::erase_if(stale_, [this](const auto& changed) REQUIRES(follow_mu_) {
    const auto& [is_agent, id] = changed.first;
    return is_agent ? RefreshAgent(id) : RefreshEntry(id, changed.second.get());
  });
  const bool was_behind = behind_.exchange(!stale_.empty());
  // What was left out is back, and no feed knows.
  if (was_behind && !behind_) ResyncAll();
}

bool StoreRegistry::RefreshEntry(const std::string& id, const Entry* known) const {
  Result<Entry> entry = known ? Result<Entry>(*known) : store_.entries().Get(id);
  WriterLock lock(mu_);
  if (entry.ok()) {
    entries_.Put(std::move(*entry));
  } else {
    entries_.Remove(id);
  }
  return entry.ok() || entry.code() == Code::kNotFound;
}

bool StoreRegistry::RefreshAgent(const std::string& id) const {
  Result<Agent> agent = store_.agents().Get(id);
  WriterLock lock(mu_);
  feeds_.SetSelectors(id, agent.ok() ? agent->selectors : Selectors());
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

std::vector<Entry> StoreRegistry::ListEntries(const EntryFilter& filter, int64_t after,
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

size_t StoreRegistry::VisitAuthorized(const SpiffeId& agent, std::span<const std::string> ids,
                                      Time now,
                                      const std::function<bool(const Entry&)>& visit) const {
  CatchUp();
  ReaderLock lock(mu_);
  return entries_.VisitAuthorized(agent, agents_.SelectorsOf(agent.text()), ids, ToUnixSeconds(now),
                                  visit);
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

std::vector<Agent> StoreRegistry::ListAgents(const AgentFilter& filter, int64_t after,
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

Result<std::unique_ptr<Registry>> Registry::Load(Store& store, const TrustDomain& td) {
  auto registry = std::make_unique<StoreRegistry>(store, td);
  TRY(registry->LoadAll());
  return std::unique_ptr<Registry>(std::move(registry));
}

}  // namespace writ
