// SPDX-License-Identifier: Apache-2.0
//
// The stores: everything that a server must not lose. Every write is one transaction that also
// appends to the change sequence, the one feed that every cache follows; a write is durable
// (fsynced) when it returns. One conformance suite (store_conformance.h) holds every kind to this
// contract.
//
// Reads of entries and agents in the hot path do not come here: server/entry keeps them in memory,
// loaded once at start through ForEach and kept current by the feed.
//
// Threads: thread-safe. Errors: Unavailable when the store is away, full or read-only; DataLoss
// when it is corrupt.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/spiffe/bundle.h"
#include "core/spiffe/entry.h"

namespace writ {

// ---- the change sequence ------------------------------------------------------------------------

enum class ChangeKind {
  kEntryPut = 1,
  kEntryDeleted = 2,
  kAgentPut = 3,
  kAgentDeleted = 4,
  kBundle = 5,
};

struct Change {
  uint64_t sequence;  // 1, 2, 3 ... without gaps within what is kept
  ChangeKind kind;
  std::string id;  // entry ID, agent SPIFFE ID, or trust domain name
  // Set when it may change who is authorized for other entries, so that a follower knows how far
  // the change reaches even when the old state is gone. Of an entry that came, went or moved (it
  // differs in more than what it says of itself): the SPIFFE ID that it gave out before, "" when it
  // is new. Of an agent that is new or whose selectors changed: "".
  std::optional<std::string> moved_from;
  // What a listener need not ask for: of kEntryPut, the entry as this change left it, if known.
  std::shared_ptr<const Entry> entry = nullptr;
};

class ChangeFeed {
 public:
  virtual ~ChangeFeed() = default;
  virtual Result<uint64_t> LastSequence() = 0;
  // Changes after `after`, oldest first, at most `limit`. OutOfRange when `after` is older than
  // what is kept, or is yet to come (the store was restored): the follower must load anew.
  virtual Result<std::vector<Change>> Since(uint64_t after, size_t limit) = 0;
  // Called after each commit, in commit order, with the changes of that commit, before any of its
  // writers returns. It may read the store and must not write to it. One at a time; null takes it
  // away.
  virtual void SetListener(std::function<void(const std::vector<Change>&)> listener) = 0;
};

// ---- entries ------------------------------------------------------------------------------------

// Whether both pass the same on to the entries below them: same ID, parent, selectors and end.
inline bool ReachAlike(const Entry& a, const Entry& b) {
  return a.spiffe_id == b.spiffe_id && a.parent_id == b.parent_id && a.selectors == b.selectors &&
         a.expires_at == b.expires_at;
}

// One item's outcome in a batch; the batch itself fails only when the store does.
struct EntryOutcome {
  Status status;               // AlreadyExists carries the existing entry; NotFound none
  std::optional<Entry> entry;  // as stored (ID, revision, created_at given)
};

// Changes an entry: called inside the transaction with the stored entry; what it returns is stored
// with the revision grown by one.
using EntryEdit = std::function<Result<Entry>(const Entry& stored)>;

class EntryStore {
 public:
  virtual ~EntryStore() = default;
  // Entries without an ID get `new_id()`. A similar entry (same SPIFFE ID, parent and selector
  // set): AlreadyExists with the existing one. An ID that another entry has: AlreadyExists, none.
  virtual Result<std::vector<EntryOutcome>> Create(std::vector<Entry> entries, Time now,
                                                   const std::function<std::string()>& new_id) = 0;
  struct Update {
    std::string id;
    EntryEdit edit;
  };
  // An update that would make the entry similar to another is AlreadyExists.
  virtual Result<std::vector<EntryOutcome>> Edit(std::vector<Update> updates) = 0;
  virtual Result<std::vector<EntryOutcome>> Delete(std::span<const std::string> ids) = 0;
  // Deletes entries that expired before `before`, the oldest first, at most `limit`; their IDs.
  virtual Result<std::vector<std::string>> Prune(Time before, size_t limit) = 0;
  virtual Result<Entry> Get(std::string_view id) = 0;
  // Every entry, in ID order, in one consistent read; `sequence` is the change it is current with,
  // known before the first visit. `visit` does not call the store.
  virtual Status ForEach(uint64_t* sequence, const std::function<void(Entry)>& visit) = 0;
};

// ---- agents and join tokens ---------------------------------------------------------------------

struct Agent {
  SpiffeId id;
  std::string attestation_type;
  std::string serial;          // decimal, of the current SVID; empty when banned, as in SPIRE
  int64_t not_after = 0;       // Unix seconds, of the current SVID
  std::string pending_serial;  // of a renewed SVID that was not used yet; empty: none
  int64_t pending_not_after = 0;
  bool may_reattest = false;
  bool banned = false;
  Selectors selectors;
  std::string agent_version;  // what PostStatus told
  int64_t attested_at = 0;    // Unix seconds
  int64_t ordinal = 0;        // rises in the order in which agents first came; the store sets it
  friend bool operator==(const Agent&, const Agent&) = default;
};

struct JoinToken {
  std::string token;
  int64_t expires_at = 0;  // Unix seconds
};

struct PruneRule {
  Time tokens_before;                 // expired before it
  std::optional<Time> agents_before;  // likewise, with any renewed SVID; none: no agent
  bool non_reattestable = false;      // also agents that cannot attest again
  size_t limit = 0;
};
struct Pruned {
  size_t tokens = 0;
  std::vector<std::string> agents;  // their IDs
};

class AgentStore {
 public:
  virtual ~AgentStore() = default;
  virtual Result<Agent> Get(std::string_view id) = 0;
  virtual Status ForEach(uint64_t* sequence, const std::function<void(Agent)>& visit) = 0;
  // Creates or replaces the agent and, in the same transaction, consumes `join_token` when it is
  // not empty (InvalidArgument when it is gone or expired by `now`: single use even under
  // concurrency). Refuses a banned agent with PermissionDenied. An agent_version that is known
  // stays when the new is empty.
  virtual Status CommitAttestation(const Agent& agent, std::string_view join_token, Time now) = 0;
  // Changes an agent inside a transaction (pending serial, ban, version), not its ID; NotFound when
  // it is gone. Nothing is written when nothing changed.
  virtual Result<Agent> Edit(std::string_view id, const std::function<Status(Agent&)>& edit) = 0;
  // Deletes the agent and, in the same transaction, the alias entry of its join token.
  virtual Status Delete(std::string_view id) = 0;
  // AlreadyExists when the token is there. `alias`: an entry, with its ID and created_at, to create
  // in the same transaction; a similar entry that is there already stands in for it.
  virtual Status CreateToken(const JoinToken& token, const std::optional<Entry>& alias) = 0;
  virtual Result<JoinToken> GetToken(std::string_view token) = 0;
  // Deletes what the rule names, the oldest first, at most `limit` of each kind: expired unused
  // tokens with their alias entries (but not the alias of an agent that attested with an earlier
  // token of that value), and expired agents as Delete() does, never banned ones.
  virtual Result<Pruned> Prune(const PruneRule& rule) = 0;
};

// ---- bundle and journal -------------------------------------------------------------------------

class BundleStore {
 public:
  virtual ~BundleStore() = default;
  virtual Result<Bundle> Get(const TrustDomain& td) = 0;  // NotFound
  // Reads (an empty bundle when there is none), edits and writes in one transaction; the sequence
  // number grows by one when anything changed, and nothing is written when nothing did.
  virtual Result<Bundle> Edit(const TrustDomain& td,
                              const std::function<Status(Bundle&)>& edit) = 0;
};

enum class AuthorityKind { kX509 = 1, kJwt = 2 };
enum class AuthorityStatus { kPrepared = 1, kActive = 2, kOld = 3 };

// One row of the CA's journal: one authority with its status.
struct JournalRow {
  std::string authority_id;  // hex SKI, or the JWT kid
  AuthorityKind kind = AuthorityKind::kX509;
  AuthorityStatus status = AuthorityStatus::kPrepared;
  std::string key_name;     // in the KeyManager
  std::string certificate;  // DER, X.509 only
  std::string public_key;   // SPKI DER
  int64_t issued_at = 0;    // Unix seconds
  int64_t not_after = 0;
  int64_t activated_at = 0;  // 0: never
  friend bool operator==(const JournalRow&, const JournalRow&) = default;
};

class JournalStore {
 public:
  virtual ~JournalStore() = default;
  virtual Result<std::vector<JournalRow>> Load() = 0;  // oldest first
  // Puts and removes rows in one transaction, so that "this one active, that one old" is one step.
  virtual Status Apply(std::span<const JournalRow> put, std::span<const std::string> remove) = 0;
};

// ---- all of them --------------------------------------------------------------------------------

class Store {
 public:
  virtual ~Store() = default;
  virtual EntryStore& entries() = 0;
  virtual AgentStore& agents() = 0;
  virtual BundleStore& bundles() = 0;
  virtual JournalStore& journal() = 0;
  virtual ChangeFeed& changes() = 0;
  // Quick: how a write failed since the last check; where the last one did, tries one that nobody
  // sees; opens a page. Deep: the whole integrity check, which may take seconds.
  virtual Status Check(bool deep) = 0;
  // Marks a clean stop; the next open skips quick_check.
  virtual Status Close() = 0;
};

struct SqliteOptions {
  std::string path;
};
// Opens or creates; runs migrations; quick_check only after an unclean stop (DataLoss says what to
// do).
Result<std::unique_ptr<Store>> OpenSqliteStore(const SqliteOptions& options);

// Whether a store that may be in use or not is one of ours, and `deep` whether it is whole; changes
// nothing. NotFound when there is none yet, or one that holds nothing.
Status CheckSqliteStore(const std::string& path, bool deep = true);

// What a backup holds, and where a restore put the store that was there before (empty: none was).
struct BackupContents {
  int64_t entries = 0;
  int64_t agents = 0;
  std::string set_aside;
};
// A consistent copy of the store at `path`, which may be in use, as one private file at `to` that
// replaces what is there. The copy is checked before it takes that name.
Result<BackupContents> BackUpSqliteStore(const std::string& path, const std::string& to);
// Puts the backup `from` in the place of the store at `path`, which nobody uses; that store is set
// aside, not deleted. `accept` sees what is to take its place before anything is replaced.
//
// A restore is a step back in time that followers must notice: the change sequence, the entries'
// revisions and the bundles' numbers go on from `now`, above all that the lost store can have given
// out. Join tokens are dropped, since any may have been used meanwhile.
Result<BackupContents> RestoreSqliteStore(const std::string& from, const std::string& path,
                                          Time now, const std::function<Status(Store&)>& accept);

}  // namespace writ
