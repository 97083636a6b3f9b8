// SPDX-License-Identifier: Apache-2.0
#include "test/fake/fake_store.h"

#include <algorithm>
#include <map>
#include <utility>

#include "core/base/mutex.h"

namespace writ {
namespace {

constexpr size_t kChangesKeptMax = 100'000;

struct Token {
  JoinToken token;
  std::string alias_id;
};

// Everything that is stored. Copied by nobody: a write checks first and changes then.
struct State {
  std::map<std::string, Entry, std::less<>> entries;
  std::map<std::string, Agent, std::less<>> agents;
  std::map<std::string, Token, std::less<>> tokens;
  std::map<TrustDomain, Bundle> bundles;
  std::vector<JournalRow> journal;
  std::vector<Change> changes;
  uint64_t sequence = 0;
};

bool Similar(const Entry& a, const Entry& b) {
  return a.spiffe_id == b.spiffe_id && a.parent_id == b.parent_id && a.selectors == b.selectors;
}

const Entry* FindSimilar(const State& state, const Entry& entry) {
  for (const auto& [id, other] : state.entries) {
    if (id != entry.id && Similar(other, entry)) return &other;
  }
  return nullptr;
}

bool IsAliasOf(const Entry& entry, const Agent& agent) {
  return agent.attestation_type == "join_token" && entry.parent_id == agent.id &&
         entry.selectors == Selectors{{"spiffe_id", agent.id.text()}};
}

// With its aliases.
void EraseAgent(State& state, std::vector<Change>& changes, const Agent& agent) {
  std::erase_if(state.entries, [&](const auto& item) {
    if (!IsAliasOf(item.second, agent)) return false;
    changes.push_back(
        {0, ChangeKind::kEntryDeleted, item.first, item.second.spiffe_id.text()});
    return true;
  });
  const std::string id = agent.id.text();
  changes.push_back({0, ChangeKind::kAgentDeleted, id, std::nullopt});
  state.agents.erase(id);
}

}  // namespace

struct FakeStore::Rep : EntryStore, BundleStore, JournalStore, ChangeFeed {
  // AgentStore apart: its Get has EntryStore's parameters.
  struct Agents : AgentStore {
    explicit Agents(Rep& rep) : rep(rep) {}
    Result<Agent> Get(std::string_view id) override;
    Status ForEach(uint64_t* sequence, const std::function<void(Agent)>& visit) override;
    Status CommitAttestation(const Agent& agent, std::string_view join_token, Time now) override;
    Result<Agent> Edit(std::string_view id, const std::function<Status(Agent&)>& edit) override;
    Status Delete(std::string_view id) override;
    Status CreateToken(const JoinToken& token, const std::optional<Entry>& alias) override;
    Result<JoinToken> GetToken(std::string_view token) override;
    Result<Pruned> Prune(const PruneRule& rule) override;
    Rep& rep;
  };

  Result<std::vector<EntryOutcome>> Create(std::vector<Entry> entries, Time now,
                                           const std::function<std::string()>& new_id) override;
  Result<std::vector<EntryOutcome>> Edit(std::vector<Update> updates) override;
  Result<std::vector<EntryOutcome>> Delete(std::span<const std::string> ids) override;
  Result<std::vector<std::string>> Prune(Time before, size_t limit) override;
  Result<Entry> Get(std::string_view id) override;
  Status ForEach(uint64_t* sequence, const std::function<void(Entry)>& visit) override;

  Result<Bundle> Get(const TrustDomain& td) override;
  Result<Bundle> Edit(const TrustDomain& td, const std::function<Status(Bundle&)>& edit) override;

  Result<std::vector<JournalRow>> Load() override;
  Status Apply(std::span<const JournalRow> put, std::span<const std::string> remove) override;

  Result<uint64_t> LastSequence() override;
  Result<std::vector<Change>> Since(uint64_t after, size_t limit) override;
  void SetListener(std::function<void(const std::vector<Change>&)> listener) override;

  // Runs one write: `body` changes the state and names its changes, or fails having changed
  // nothing.
  Status Write(const std::function<Status(State&, std::vector<Change>&)>& body);
  EntryOutcome CreateOne(State& state, std::vector<Change>& changes, Entry entry);
  EntryOutcome EditOne(State& state, std::vector<Change>& changes, const Update& update);

  Agents agents{*this};
  Mutex write_mu;  // taken first: one writer at a time, which tells the listener
  Mutex mu;
  State state GUARDED_BY(mu);
  Status write_failure GUARDED_BY(mu);
  int writes_before_failure GUARDED_BY(mu) = 0;
  Status read_failure GUARDED_BY(mu);
  std::function<void(const std::vector<Change>&)> listener GUARDED_BY(write_mu);
};

Status FakeStore::Rep::Write(const std::function<Status(State&, std::vector<Change>&)>& body) {
  MutexLock write_lock(write_mu);
  std::vector<Change> changes;
  {
    MutexLock lock(mu);
    if (!write_failure.ok() && writes_before_failure-- <= 0) return write_failure;
    TRY(body(state, changes));
    for (Change& change : changes) {
      change.sequence = ++state.sequence;
      state.changes.push_back(change);
    }
    if (state.changes.size() > kChangesKeptMax) {
      state.changes.erase(state.changes.begin(), state.changes.end() - kChangesKeptMax);
    }
  }
  if (listener && !changes.empty()) listener(changes);
  return OkStatus();
}

// ---- entries ------------------------------------------------------------------------------------

EntryOutcome FakeStore::Rep::CreateOne(State& state, std::vector<Change>& changes, Entry entry) {
  if (const Entry* existing = FindSimilar(state, entry)) {
    return {AlreadyExists("similar entry already exists"), *existing};
  }
  if (state.entries.contains(entry.id)) {
    return {AlreadyExists("another entry has the ID " + entry.id), {}};
  }
  entry.revision = 0;
  entry.ordinal = static_cast<int64_t>(state.sequence + changes.size() + 1);
  changes.push_back(
      {0, ChangeKind::kEntryPut, entry.id, "", std::make_shared<const Entry>(entry)});
  state.entries.emplace(entry.id, entry);
  return {OkStatus(), std::move(entry)};
}

Result<std::vector<EntryOutcome>> FakeStore::Rep::Create(
    std::vector<Entry> entries, Time now, const std::function<std::string()>& new_id) {
  std::vector<EntryOutcome> outcomes;
  TRY(Write([&](State& state, std::vector<Change>& changes) {
    for (Entry& entry : entries) {
      if (entry.id.empty()) entry.id = new_id();
      entry.created_at = ToUnixSeconds(now);
      outcomes.push_back(CreateOne(state, changes, std::move(entry)));
    }
    return OkStatus();
  }));
  return outcomes;
}

EntryOutcome FakeStore::Rep::EditOne(State& state, std::vector<Change>& changes,
                                     const Update& update) {
  auto it = state.entries.find(update.id);
  if (it == state.entries.end()) return {NotFound("no entry with ID " + update.id), {}};
  Result<Entry> edited = update.edit(it->second);
  if (!edited.ok()) return {edited.status(), {}};
  CHECK(edited->id == update.id);
  if (const Entry* similar = FindSimilar(state, *edited)) {
    return {AlreadyExists("similar entry already exists"), *similar};
  }
  edited->revision = it->second.revision + 1;
  edited->created_at = it->second.created_at;
  edited->ordinal = it->second.ordinal;
  changes.push_back({0, ChangeKind::kEntryPut, update.id, std::nullopt});
  if (!ReachAlike(it->second, *edited)) changes.back().moved_from = it->second.spiffe_id.text();
  it->second = *edited;
  return {OkStatus(), it->second};
}

Result<std::vector<EntryOutcome>> FakeStore::Rep::Edit(std::vector<Update> updates) {
  std::vector<EntryOutcome> outcomes;
  TRY(Write([&](State& state, std::vector<Change>& changes) {
    for (const Update& update : updates) outcomes.push_back(EditOne(state, changes, update));
    return OkStatus();
  }));
  return outcomes;
}

Result<std::vector<EntryOutcome>> FakeStore::Rep::Delete(std::span<const std::string> ids) {
  std::vector<EntryOutcome> outcomes;
  TRY(Write([&](State& state, std::vector<Change>& changes) {
    for (const std::string& id : ids) {
      auto node = state.entries.extract(id);
      if (node.empty()) {
        outcomes.push_back({NotFound("no entry with ID " + id), {}});
        continue;
      }
      changes.push_back({0, ChangeKind::kEntryDeleted, id, node.mapped().spiffe_id.text()});
      outcomes.push_back({OkStatus(), std::move(node.mapped())});
    }
    return OkStatus();
  }));
  return outcomes;
}

Result<std::vector<std::string>> FakeStore::Rep::Prune(Time before, size_t limit) {
  std::vector<std::string> expired;
  TRY(Write([&](State& state, std::vector<Change>& changes) {
    std::vector<std::pair<int64_t, std::string>> oldest;
    for (const auto& [id, entry] : state.entries) {
      if (entry.expires_at == 0 || entry.expires_at >= ToUnixSeconds(before)) continue;
      oldest.emplace_back(entry.expires_at, id);
    }
    std::sort(oldest.begin(), oldest.end());
    if (oldest.size() > limit) oldest.resize(limit);
    for (const auto& [end, id] : oldest) {
      const auto node = state.entries.extract(id);
      changes.push_back({0, ChangeKind::kEntryDeleted, id, node.mapped().spiffe_id.text()});
      expired.push_back(id);
    }
    return OkStatus();
  }));
  return expired;
}

Result<Entry> FakeStore::Rep::Get(std::string_view id) {
  MutexLock lock(mu);
  TRY(read_failure);
  auto it = state.entries.find(id);
  if (it == state.entries.end()) return NotFound("no entry with ID " + std::string(id));
  return it->second;
}

Status FakeStore::Rep::ForEach(uint64_t* sequence, const std::function<void(Entry)>& visit) {
  MutexLock lock(mu);
  TRY(read_failure);
  *sequence = state.sequence;
  for (const auto& [id, entry] : state.entries) visit(entry);
  return OkStatus();
}

// ---- agents -------------------------------------------------------------------------------------

Result<Agent> FakeStore::Rep::Agents::Get(std::string_view id) {
  MutexLock lock(rep.mu);
  TRY(rep.read_failure);
  auto it = rep.state.agents.find(id);
  if (it == rep.state.agents.end()) return NotFound("no agent " + std::string(id));
  return it->second;
}

Status FakeStore::Rep::Agents::ForEach(uint64_t* sequence,
                                       const std::function<void(Agent)>& visit) {
  MutexLock lock(rep.mu);
  TRY(rep.read_failure);
  *sequence = rep.state.sequence;
  for (const auto& [id, agent] : rep.state.agents) visit(agent);
  return OkStatus();
}

Status FakeStore::Rep::Agents::CommitAttestation(const Agent& agent, std::string_view join_token,
                                                 Time now) {
  return rep.Write([&](State& state, std::vector<Change>& changes) -> Status {
    auto old = state.agents.find(agent.id.text());
    if (old != state.agents.end() && old->second.banned) return PermissionDenied("agent is banned");
    auto token = state.tokens.find(join_token);
    if (!join_token.empty()) {
      if (token == state.tokens.end()) return InvalidArgument("join token unknown or used already");
      if (token->second.token.expires_at <= ToUnixSeconds(now)) {
        return InvalidArgument("join token expired");
      }
      state.tokens.erase(token);
    }
    Agent stored = agent;
    if (stored.agent_version.empty() && old != state.agents.end()) {
      stored.agent_version = old->second.agent_version;
    }
    changes.push_back({0, ChangeKind::kAgentPut, agent.id.text(), std::nullopt});
    stored.ordinal = old != state.agents.end()
                         ? old->second.ordinal
                         : static_cast<int64_t>(state.sequence + changes.size());
    if (old == state.agents.end() || old->second.selectors != stored.selectors) {
      changes.back().moved_from = "";
    }
    state.agents.insert_or_assign(agent.id.text(), std::move(stored));
    return OkStatus();
  });
}

Result<Agent> FakeStore::Rep::Agents::Edit(std::string_view id,
                                           const std::function<Status(Agent&)>& edit) {
  std::optional<Agent> result;
  TRY(rep.Write([&](State& state, std::vector<Change>& changes) -> Status {
    auto it = state.agents.find(id);
    if (it == state.agents.end()) return NotFound("no agent " + std::string(id));
    result = it->second;
    TRY(edit(*result));
    CHECK(result->id == it->second.id);
    if (*result == it->second) return OkStatus();
    changes.push_back({0, ChangeKind::kAgentPut, it->first, std::nullopt});
    if (it->second.selectors != result->selectors) changes.back().moved_from = "";
    it->second = *result;
    return OkStatus();
  }));
  return std::move(*result);
}

Status FakeStore::Rep::Agents::Delete(std::string_view id) {
  return rep.Write([&](State& state, std::vector<Change>& changes) -> Status {
    auto it = state.agents.find(id);
    if (it == state.agents.end()) return NotFound("no agent " + std::string(id));
    EraseAgent(state, changes, it->second);
    return OkStatus();
  });
}

Status FakeStore::Rep::Agents::CreateToken(const JoinToken& token,
                                           const std::optional<Entry>& alias) {
  return rep.Write([&](State& state, std::vector<Change>& changes) -> Status {
    if (state.tokens.contains(token.token)) return AlreadyExists("join token already exists");
    std::string alias_id;
    if (alias) {
      EntryOutcome outcome = rep.CreateOne(state, changes, *alias);
      if (!outcome.status.ok() && !outcome.entry) return outcome.status;
      // A similar entry that was there before is the operator's, and stays when the token goes.
      if (outcome.status.ok()) alias_id = outcome.entry->id;
    }
    state.tokens.emplace(token.token, Token{token, std::move(alias_id)});
    return OkStatus();
  });
}

Result<JoinToken> FakeStore::Rep::Agents::GetToken(std::string_view token) {
  MutexLock lock(rep.mu);
  TRY(rep.read_failure);
  auto it = rep.state.tokens.find(token);
  if (it == rep.state.tokens.end()) return NotFound("join token unknown or used already");
  return it->second.token;
}

Result<Pruned> FakeStore::Rep::Agents::Prune(const PruneRule& rule) {
  Pruned pruned;
  TRY(rep.Write([&](State& state, std::vector<Change>& changes) {
    std::erase_if(state.tokens, [&](const auto& item) {
      const Token& token = item.second;
      if (pruned.tokens == rule.limit) return false;
      if (token.token.expires_at >= ToUnixSeconds(rule.tokens_before)) return false;
      auto alias = state.entries.find(token.alias_id);
      if (alias != state.entries.end() && !state.agents.contains(alias->second.parent_id.text())) {
        changes.push_back(
            {0, ChangeKind::kEntryDeleted, alias->first, alias->second.spiffe_id.text()});
        state.entries.erase(alias);
      }
      ++pruned.tokens;
      return true;
    });
    std::vector<Agent> expired;
    for (const auto& [id, agent] : state.agents) {
      if (!rule.agents_before || agent.banned) continue;
      if (!agent.may_reattest && !rule.non_reattestable) continue;
      const int64_t end = std::max(agent.not_after, agent.pending_not_after);
      if (end < ToUnixSeconds(*rule.agents_before)) expired.push_back(agent);
    }
    std::stable_sort(expired.begin(), expired.end(),
                     [](const Agent& a, const Agent& b) { return a.not_after < b.not_after; });
    while (expired.size() > rule.limit) expired.pop_back();
    for (const Agent& agent : expired) {
      pruned.agents.push_back(agent.id.text());
      EraseAgent(state, changes, agent);
    }
    return OkStatus();
  }));
  return pruned;
}

// ---- bundles, journal, changes ------------------------------------------------------------------

Result<Bundle> FakeStore::Rep::Get(const TrustDomain& td) {
  MutexLock lock(mu);
  TRY(read_failure);
  auto it = state.bundles.find(td);
  if (it == state.bundles.end()) return NotFound("no bundle of trust domain " + td.name());
  return it->second;
}

Result<Bundle> FakeStore::Rep::Edit(const TrustDomain& td,
                                    const std::function<Status(Bundle&)>& edit) {
  Bundle bundle{.trust_domain = td};
  TRY(Write([&](State& state, std::vector<Change>& changes) -> Status {
    auto it = state.bundles.find(td);
    if (it != state.bundles.end()) bundle = it->second;
    const Bundle before = bundle;
    TRY(edit(bundle));
    CHECK(bundle.trust_domain == td);
    bundle.sequence_number = before.sequence_number;
    if (bundle == before) return OkStatus();
    ++bundle.sequence_number;
    state.bundles.insert_or_assign(td, bundle);
    changes.push_back({0, ChangeKind::kBundle, td.name(), std::nullopt});
    return OkStatus();
  }));
  return bundle;
}

Result<std::vector<JournalRow>> FakeStore::Rep::Load() {
  MutexLock lock(mu);
  TRY(read_failure);
  return state.journal;
}

Status FakeStore::Rep::Apply(std::span<const JournalRow> put, std::span<const std::string> remove) {
  return Write([&](State& state, std::vector<Change>&) {
    for (const JournalRow& row : put) {
      auto it = std::ranges::find(state.journal, row.authority_id, &JournalRow::authority_id);
      if (it == state.journal.end()) it = state.journal.insert(it, row);
      *it = row;
    }
    for (const std::string& id : remove) {
      std::erase_if(state.journal, [&](const JournalRow& row) { return row.authority_id == id; });
    }
    return OkStatus();
  });
}

Result<uint64_t> FakeStore::Rep::LastSequence() {
  MutexLock lock(mu);
  TRY(read_failure);
  return state.sequence;
}

Result<std::vector<Change>> FakeStore::Rep::Since(uint64_t after, size_t limit) {
  MutexLock lock(mu);
  TRY(read_failure);
  const uint64_t oldest = state.sequence - state.changes.size();  // the last one not kept
  if (after < oldest || after > state.sequence) {
    return Status(Code::kOutOfRange, "the change sequence does not hold what follows " +
                                         std::to_string(after) + ": load anew");
  }
  auto first = state.changes.begin() + static_cast<ptrdiff_t>(after - oldest);
  const size_t count = std::min(limit, static_cast<size_t>(state.changes.end() - first));
  return std::vector<Change>(first, first + static_cast<ptrdiff_t>(count));
}

void FakeStore::Rep::SetListener(std::function<void(const std::vector<Change>&)> new_listener) {
  MutexLock lock(write_mu);
  CHECK(!listener || !new_listener);
  listener = std::move(new_listener);
}

// ---- all of them --------------------------------------------------------------------------------

FakeStore::FakeStore() : rep_(std::make_unique<Rep>()) {}
FakeStore::~FakeStore() = default;

EntryStore& FakeStore::entries() { return *rep_; }
AgentStore& FakeStore::agents() { return rep_->agents; }
BundleStore& FakeStore::bundles() { return *rep_; }
JournalStore& FakeStore::journal() { return *rep_; }
ChangeFeed& FakeStore::changes() { return *rep_; }

Status FakeStore::Check(bool) {
  MutexLock lock(rep_->mu);
  return rep_->read_failure;
}

Status FakeStore::Close() {
  FailWrites(Unavailable("the store is closed"));
  return OkStatus();
}

void FakeStore::FailWrites(Status failure, int after) {
  MutexLock lock(rep_->mu);
  rep_->write_failure = std::move(failure);
  rep_->writes_before_failure = after;
}

void FakeStore::FailReads(Status failure) {
  MutexLock lock(rep_->mu);
  rep_->read_failure = std::move(failure);
}

}  // namespace writ
