// SPDX-License-Identifier: Apache-2.0
#include "server/store/sqlite_agents.h"

#include <utility>

#include "core/base/bytes.h"
#include "server/store/sqlite_entries.h"
#include "server/store/sqlite_interned.h"

namespace writ {
namespace {

constexpr std::string_view kJoinTokenType = "join_token";

// The columns in the order in which ReadAgent takes them.
#define WRIT_SELECT_AGENT                                                                        \
  "SELECT i.text, a.attestation_type, a.serial, a.not_after, a.pending_serial, "                 \
  "a.pending_not_after, a.may_reattest, a.banned, a.selectors, a.agent_version, a.attested_at, " \
  "a.id, a.ordinal FROM agents a JOIN ids i ON i.id = a.id "

Status NoAgent(std::string_view id) { return NotFound("no agent has the ID " + Printable(id)); }

Result<Agent> ReadAgent(Sqlite& db, const Statement& row) {
  SpiffeId id = TRY(StoredId(row.Bytes(0)));
  Selectors selectors = TRY(ReadSelectors(db, row.Bytes(8)));
  return Agent{
      .id = std::move(id),
      .attestation_type = row.Text(1),
      .serial = row.Text(2),
      .not_after = row.Int(3),
      .pending_serial = row.Text(4),
      .pending_not_after = row.Int(5),
      .may_reattest = row.Bool(6),
      .banned = row.Bool(7),
      .selectors = std::move(selectors),
      .agent_version = row.Text(9),
      .attested_at = row.Int(10),
      .ordinal = row.Int(12),
  };
}

// An agent with what its row refers to.
struct StoredAgent {
  Agent agent;
  int64_t number;
  std::string selectors;
};

Result<std::optional<StoredAgent>> FindAgent(Sqlite& db, std::string_view id) {
  Statement row = TRY(db.Query(WRIT_SELECT_AGENT "WHERE i.text = ?", id));
  if (!TRY(row.Step())) return std::optional<StoredAgent>();
  Agent agent = TRY(ReadAgent(db, row));
  return std::optional(StoredAgent{std::move(agent), row.Int(11), row.Text(8)});
}

// Writes the agent's row and appends the change; `old` is the row that is there, if any.
Status PutAgent(SqliteWrite& write, const Agent& agent, const std::optional<StoredAgent>& old) {
  const int64_t number = old ? old->number : TRY(AcquireId(write.db, agent.id));
  const std::string selectors = TRY(AcquireSelectors(write.db, agent.selectors));
  const bool moved = !old || old->selectors != selectors;
  TRY(write.Append(ChangeKind::kAgentPut, agent.id.text(),
                   moved ? std::optional<std::string>("") : std::nullopt));
  const int64_t ordinal =
      old ? old->agent.ordinal : static_cast<int64_t>(write.changes.back().sequence);
  TRY(write.db.Run(
      "INSERT OR REPLACE INTO agents (id, attestation_type, serial, not_after, pending_serial, "
      "pending_not_after, may_reattest, banned, selectors, agent_version, attested_at, "
      "ordinal) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      number, agent.attestation_type, agent.serial, agent.not_after, agent.pending_serial,
      agent.pending_not_after, agent.may_reattest, agent.banned, Blob{selectors},
      agent.agent_version, agent.attested_at, ordinal));
  return old ? ReleaseSelectors(write.db, old->selectors) : OkStatus();
}

// Takes the token out of the store; InvalidArgument when it may not be used. The message never
// holds the token.
Status ConsumeToken(Sqlite& db, std::string_view token, Time now) {
  Result<int64_t> expires_at =
      db.Number("DELETE FROM join_tokens WHERE token = ? RETURNING expires_at", token);
  if (expires_at.code() == Code::kNotFound) {
    return InvalidArgument(
        "the join token does not exist or was used already: make a new one with "
        "`writ token create`");
  }
  if (TRY(expires_at) > ToUnixSeconds(now)) return OkStatus();
  return InvalidArgument("the join token expired at " + FormatTime(FromUnixSeconds(*expires_at)) +
                         ": make a new one with `writ token create`");
}

// The alias entries that CreateToken made for this agent: children of its ID whose one selector is
// that ID. Other children are the operator's own and stay.
Status DeleteAliases(SqliteWrite& write, const StoredAgent& agent) {
  if (agent.agent.attestation_type != kJoinTokenType) return OkStatus();
  Result<int64_t> selector = write.db.Number(
      "SELECT id FROM selectors WHERE type = 'spiffe_id' AND value = ?", agent.agent.id.text());
  if (selector.code() == Code::kNotFound) return OkStatus();
  const std::string stored = StoredSelector(TRY(selector));
  std::vector<std::string> aliases;
  {
    Statement rows =
        TRY(write.db.Query("SELECT entry_id FROM entries WHERE parent_id = ? AND selectors = ?",
                           agent.number, Blob{stored}));
    while (TRY(rows.Step())) aliases.push_back(rows.Text(0));
  }
  for (const std::string& alias : aliases) TRY(DeleteEntry(write, alias));
  return OkStatus();
}

// The ID of the entry that goes when the token goes unused; "" when a similar one was there before:
// that one is the operator's.
Result<std::string> MakeAlias(SqliteWrite& write, const Entry& alias) {
  EntryOutcome outcome = TRY(InsertEntry(write, alias));
  if (outcome.status.ok()) return outcome.entry->id;
  if (!outcome.entry) return outcome.status;
  return std::string();
}

// Deletes expired tokens, each with its alias unless an agent lives by that; how many.
Result<size_t> PruneTokens(SqliteWrite& write, const PruneRule& rule) {
  std::vector<std::pair<std::string, std::string>> expired;  // token, alias or ""
  {
    Statement rows = TRY(write.db.Query(
        "SELECT t.token, coalesce(e.entry_id, '') FROM join_tokens t LEFT JOIN entries e "
        "ON e.entry_id = t.alias AND NOT EXISTS (SELECT 1 FROM agents a WHERE a.id = e.parent_id) "
        "WHERE t.expires_at < ? ORDER BY t.expires_at LIMIT ?",
        ToUnixSeconds(rule.tokens_before), static_cast<int64_t>(rule.limit)));
    while (TRY(rows.Step())) expired.emplace_back(rows.Text(0), rows.Text(1));
  }
  for (const auto& [token, alias] : expired) {
    TRY(write.db.Run("DELETE FROM join_tokens WHERE token = ?", token));
    if (!alias.empty()) TRY(DeleteEntry(write, alias));
  }
  return expired.size();
}

// The agent with its aliases.
Status DeleteAgent(SqliteWrite& write, const StoredAgent& agent) {
  TRY(DeleteAliases(write, agent));
  TRY(write.db.Run("DELETE FROM agents WHERE id = ?", agent.number));
  TRY(ReleaseSelectors(write.db, agent.selectors));
  TRY(ReleaseId(write.db, agent.number));
  return write.Append(ChangeKind::kAgentDeleted, agent.agent.id.text());
}

Result<std::vector<std::string>> PruneAgents(SqliteWrite& write, const PruneRule& rule) {
  std::vector<std::string> expired;
  if (!rule.agents_before) return expired;
  const int64_t before = ToUnixSeconds(*rule.agents_before);
  {
    Statement rows = TRY(write.db.Query(
        "SELECT i.text FROM agents a JOIN ids i ON i.id = a.id WHERE a.not_after < ? "
        "AND a.pending_not_after < ? AND NOT a.banned AND (a.may_reattest OR ?) "
        "ORDER BY a.not_after LIMIT ?",
        before, before, rule.non_reattestable, static_cast<int64_t>(rule.limit)));
    while (TRY(rows.Step())) expired.push_back(rows.Text(0));
  }
  for (const std::string& id : expired) {
    std::optional<StoredAgent> agent = TRY(FindAgent(write.db, id));
    CHECK(agent.has_value());
    TRY(DeleteAgent(write, *agent));
  }
  return expired;
}

}  // namespace

Result<Agent> SqliteAgents::Get(std::string_view id) {
  std::optional<StoredAgent> found;
  TRY(db_.Read([&](Sqlite& db) -> Status {
    found = TRY(FindAgent(db, id));
    return OkStatus();
  }));
  if (!found) return NoAgent(id);
  return std::move(found->agent);
}

Status SqliteAgents::ForEach(uint64_t* sequence, const std::function<void(Agent)>& visit) {
  return db_.Read([&](Sqlite& db) -> Status {
    *sequence = TRY(ReadLastSequence(db));
    Statement rows = TRY(db.Query(WRIT_SELECT_AGENT "ORDER BY i.text"));
    while (TRY(rows.Step())) visit(TRY(ReadAgent(db, rows)));
    return OkStatus();
  });
}

Status SqliteAgents::CommitAttestation(const Agent& agent, std::string_view join_token, Time now) {
  return db_.Write([&](SqliteWrite& write) -> Status {
    std::optional<StoredAgent> old = TRY(FindAgent(write.db, agent.id.text()));
    if (old && old->agent.banned) {
      return PermissionDenied("agent " + agent.id.text() +
                              " is banned: an operator can lift this by deleting it with `writ "
                              "agent evict`");
    }
    if (!join_token.empty()) TRY(ConsumeToken(write.db, join_token, now));
    Agent stored = agent;
    if (old && stored.agent_version.empty()) stored.agent_version = old->agent.agent_version;
    return PutAgent(write, stored, old);
  });
}

Result<Agent> SqliteAgents::Edit(std::string_view id, const std::function<Status(Agent&)>& edit) {
  std::optional<Agent> edited;
  TRY(db_.Write([&](SqliteWrite& write) -> Status {
    std::optional<StoredAgent> old = TRY(FindAgent(write.db, id));
    if (!old) return NoAgent(id);
    edited = old->agent;
    TRY(edit(*edited));
    CHECK(edited->id == old->agent.id);
    return *edited == old->agent ? OkStatus() : PutAgent(write, *edited, old);
  }));
  return std::move(*edited);
}

Status SqliteAgents::Delete(std::string_view id) {
  return db_.Write([&](SqliteWrite& write) -> Status {
    std::optional<StoredAgent> old = TRY(FindAgent(write.db, id));
    if (!old) return NoAgent(id);
    return DeleteAgent(write, *old);
  });
}

Status SqliteAgents::CreateToken(const JoinToken& token, const std::optional<Entry>& alias) {
  return db_.Write([&](SqliteWrite& write) -> Status {
    Result<int64_t> there =
        write.db.Number("SELECT 1 FROM join_tokens WHERE token = ?", token.token);
    if (there.ok()) return AlreadyExists("a join token of this value exists already");
    if (there.code() != Code::kNotFound) return there.status();
    const std::string alias_id = alias ? TRY(MakeAlias(write, *alias)) : "";
    return write.db.Run(
        "INSERT INTO join_tokens (token, expires_at, alias) VALUES (?, ?, nullif(?, ''))",
        token.token, token.expires_at, alias_id);
  });
}

Result<JoinToken> SqliteAgents::GetToken(std::string_view token) {
  JoinToken found{.token = std::string(token)};
  TRY(db_.Read([&](Sqlite& db) -> Status {
    Result<int64_t> expires_at =
        db.Number("SELECT expires_at FROM join_tokens WHERE token = ?", token);
    if (expires_at.code() == Code::kNotFound) {
      return NotFound("the join token does not exist or was used already");
    }
    found.expires_at = TRY(expires_at);
    return OkStatus();
  }));
  return found;
}

Result<Pruned> SqliteAgents::Prune(const PruneRule& rule) {
  Pruned pruned;
  TRY(db_.Write([&](SqliteWrite& write) -> Status {
    pruned.tokens = TRY(PruneTokens(write, rule));
    pruned.agents = TRY(PruneAgents(write, rule));
    return OkStatus();
  }));
  return pruned;
}

#undef WRIT_SELECT_AGENT

}  // namespace writ
