// SPDX-License-Identifier: Apache-2.0
#include "server/store/sqlite_entries.h"

#include <utility>

#include "core/base/bytes.h"
#include "core/base/json.h"
#include "server/store/sqlite_interned.h"

namespace writ {
namespace {

// The columns in the order in which BuildEntry takes them; the IDs' are their reader's.
#define WRIT_COLUMNS(spiffe_id, parent_id)                                                      \
  "e.entry_id, " spiffe_id ", " parent_id                                                       \
  ", e.selectors, e.revision, e.created_at, "                                                   \
  "e.expires_at, e.x509_ttl, e.jwt_ttl, e.admin, e.downstream, e.store_svid, "                  \
  "e.has_additional_attributes, e.disable_x509_svid_prefetch, e.jwt_svid_include_jti, e.hint, " \
  "e.dns_names, e.federates_with, e.ordinal "
#define WRIT_SELECT_ENTRY                                                               \
  "SELECT " WRIT_COLUMNS(                                                               \
      "s.text",                                                                         \
      "p.text") "FROM entries e JOIN ids s ON s.id = e.spiffe_id JOIN ids p ON p.id = " \
                "e.parent_id "

std::string StoredList(const std::vector<std::string>& list) {
  if (list.empty()) return "";
  Json::Array array(list.begin(), list.end());
  return Json(std::move(array)).Dump();
}

Result<std::vector<std::string>> ReadList(std::string_view stored) {
  std::vector<std::string> list;
  if (stored.empty()) return list;
  Result<Json> json = Json::Parse(stored);
  if (!json.ok() || !json->AsArray()) return BrokenRow("a broken list in an entry");
  for (const Json& item : *json->AsArray()) {
    if (!item.AsString()) return BrokenRow("a broken list in an entry");
    list.push_back(*item.AsString());
  }
  return list;
}

// The row that `row` stands on, with what it refers to.
Result<Entry> BuildEntry(const Statement& row, SpiffeId spiffe_id, SpiffeId parent_id,
                         Selectors selectors) {
  std::vector<std::string> dns_names = TRY(ReadList(row.Bytes(16)));
  std::vector<std::string> federates_with = TRY(ReadList(row.Bytes(17)));
  return Entry{
      .id = row.Text(0),
      .spiffe_id = std::move(spiffe_id),
      .parent_id = std::move(parent_id),
      .selectors = std::move(selectors),
      .x509_ttl_seconds = static_cast<int32_t>(row.Int(7)),
      .jwt_ttl_seconds = static_cast<int32_t>(row.Int(8)),
      .federates_with = std::move(federates_with),
      .admin = row.Bool(9),
      .downstream = row.Bool(10),
      .expires_at = row.Int(6),
      .dns_names = std::move(dns_names),
      .revision = row.Int(4),
      .store_svid = row.Bool(11),
      .hint = row.Text(15),
      .created_at = row.Int(5),
      .has_additional_attributes = row.Bool(12),
      .disable_x509_svid_prefetch = row.Bool(13),
      .jwt_svid_include_jti = row.Bool(14),
      .ordinal = row.Int(18),
  };
}

Result<Entry> ReadEntry(Sqlite& db, const Statement& row) {
  SpiffeId spiffe_id = TRY(StoredId(row.Bytes(1)));
  SpiffeId parent_id = TRY(StoredId(row.Bytes(2)));
  Selectors selectors = TRY(ReadSelectors(db, row.Bytes(3)));
  return BuildEntry(row, std::move(spiffe_id), std::move(parent_id), std::move(selectors));
}

Result<Entry> ReadEntry(const InternedTables& tables, const Statement& row) {
  SpiffeId spiffe_id = TRY(tables.Id(row.Int(1)));
  SpiffeId parent_id = TRY(tables.Id(row.Int(2)));
  Selectors selectors = TRY(tables.SelectorsOf(row.Bytes(3)));
  return BuildEntry(row, std::move(spiffe_id), std::move(parent_id), std::move(selectors));
}

Status NoEntry(std::string_view id) { return NotFound("no entry has the ID " + Printable(id)); }

Result<std::optional<Entry>> FindEntry(Sqlite& db, std::string_view id) {
  Statement row = TRY(db.Query(WRIT_SELECT_ENTRY "WHERE e.entry_id = ?", id));
  if (!TRY(row.Step())) return std::optional<Entry>();
  return std::optional<Entry>(TRY(ReadEntry(db, row)));
}

// What makes entries similar, as it is stored.
struct Key {
  int64_t spiffe_id;
  int64_t parent_id;
  std::string selectors;
};

Result<Key> AcquireKey(Sqlite& db, const Entry& entry) {
  Key key;
  key.spiffe_id = TRY(AcquireId(db, entry.spiffe_id));
  key.parent_id = TRY(AcquireId(db, entry.parent_id));
  key.selectors = TRY(AcquireSelectors(db, entry.selectors));
  return key;
}

Status ReleaseKey(Sqlite& db, const Key& key) {
  TRY(ReleaseId(db, key.spiffe_id));
  TRY(ReleaseId(db, key.parent_id));
  return ReleaseSelectors(db, key.selectors);
}

Result<Key> KeyOf(Sqlite& db, std::string_view entry_id) {
  Statement row = TRY(
      db.Query("SELECT spiffe_id, parent_id, selectors FROM entries WHERE entry_id = ?", entry_id));
  CHECK(TRY(row.Step()));
  return Key{row.Int(0), row.Int(1), row.Text(2)};
}

// The entry that has this key, other than the one with the ID `except`.
Result<std::optional<Entry>> FindSimilar(Sqlite& db, const Key& key, std::string_view except) {
  Statement row = TRY(db.Query(WRIT_SELECT_ENTRY
                               "WHERE e.spiffe_id = ? AND e.parent_id = ? AND e.selectors = ? "
                               "AND e.entry_id <> ?",
                               key.spiffe_id, key.parent_id, Blob{key.selectors}, except));
  if (!TRY(row.Step())) return std::optional<Entry>();
  return std::optional<Entry>(TRY(ReadEntry(db, row)));
}

EntryOutcome Existing(std::optional<Entry> entry) {
  return {AlreadyExists("a similar entry exists already: " + entry->id), std::move(entry)};
}

Status WriteRow(Sqlite& db, const Entry& entry, const Key& key) {
  return db.Run(
      "INSERT INTO entries (entry_id, spiffe_id, parent_id, selectors, revision, created_at, "
      "expires_at, x509_ttl, jwt_ttl, admin, downstream, store_svid, has_additional_attributes, "
      "disable_x509_svid_prefetch, jwt_svid_include_jti, hint, dns_names, federates_with, ordinal) "
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
      "ON CONFLICT (entry_id) DO UPDATE SET spiffe_id = excluded.spiffe_id, "
      "parent_id = excluded.parent_id, selectors = excluded.selectors, "
      "revision = excluded.revision, expires_at = excluded.expires_at, "
      "x509_ttl = excluded.x509_ttl, jwt_ttl = excluded.jwt_ttl, admin = excluded.admin, "
      "downstream = excluded.downstream, store_svid = excluded.store_svid, "
      "has_additional_attributes = excluded.has_additional_attributes, "
      "disable_x509_svid_prefetch = excluded.disable_x509_svid_prefetch, "
      "jwt_svid_include_jti = excluded.jwt_svid_include_jti, hint = excluded.hint, "
      "dns_names = excluded.dns_names, federates_with = excluded.federates_with",
      entry.id, key.spiffe_id, key.parent_id, Blob{key.selectors}, entry.revision, entry.created_at,
      entry.expires_at, entry.x509_ttl_seconds, entry.jwt_ttl_seconds, entry.admin,
      entry.downstream, entry.store_svid, entry.has_additional_attributes,
      entry.disable_x509_svid_prefetch, entry.jwt_svid_include_jti, entry.hint,
      StoredList(entry.dns_names), StoredList(entry.federates_with), entry.ordinal);
}

Result<EntryOutcome> EditEntry(SqliteWrite& write, const EntryStore::Update& update) {
  std::optional<Entry> stored = TRY(FindEntry(write.db, update.id));
  if (!stored) return EntryOutcome{NoEntry(update.id), {}};
  Result<Entry> edited = update.edit(*stored);
  if (!edited.ok()) return EntryOutcome{edited.status(), {}};
  CHECK(edited->id == stored->id);
  edited->revision = stored->revision + 1;
  edited->created_at = stored->created_at;
  edited->ordinal = stored->ordinal;
  Key old_key = TRY(KeyOf(write.db, update.id));
  Key key = TRY(AcquireKey(write.db, *edited));
  std::optional<Entry> similar = TRY(FindSimilar(write.db, key, update.id));
  if (similar) {
    TRY(ReleaseKey(write.db, key));
    return Existing(std::move(similar));
  }
  TRY(WriteRow(write.db, *edited, key));
  TRY(ReleaseKey(write.db, old_key));
  std::optional<std::string> moved_from;
  if (!ReachAlike(*stored, *edited)) moved_from = stored->spiffe_id.text();
  TRY(write.Append(ChangeKind::kEntryPut, update.id, std::move(moved_from)));
  write.changes.back().entry = std::make_shared<const Entry>(*edited);
  return EntryOutcome{OkStatus(), std::move(*edited)};
}

}  // namespace

bool SimilarEntries(const Entry& a, const Entry& b) {
  return a.spiffe_id == b.spiffe_id && a.parent_id == b.parent_id && a.selectors == b.selectors;
}

Result<EntryOutcome> InsertEntry(SqliteWrite& write, Entry entry) {
  Key key = TRY(AcquireKey(write.db, entry));
  std::optional<Entry> existing = TRY(FindSimilar(write.db, key, ""));
  bool id_taken = TRY(FindEntry(write.db, entry.id)).has_value();
  if (existing || id_taken) {
    TRY(ReleaseKey(write.db, key));
    if (existing) return Existing(std::move(existing));
    return EntryOutcome{AlreadyExists("another entry has the ID " + entry.id), {}};
  }
  entry.revision = 0;
  TRY(write.Append(ChangeKind::kEntryPut, entry.id, ""));
  Change& change = write.changes.back();
  entry.ordinal = static_cast<int64_t>(change.sequence);
  TRY(WriteRow(write.db, entry, key));
  change.entry = std::make_shared<const Entry>(entry);
  return EntryOutcome{OkStatus(), std::move(entry)};
}

Result<EntryOutcome> DeleteEntry(SqliteWrite& write, std::string_view id) {
  std::optional<Entry> stored = TRY(FindEntry(write.db, id));
  if (!stored) return EntryOutcome{NoEntry(id), {}};
  Key key = TRY(KeyOf(write.db, id));
  TRY(write.db.Run("DELETE FROM entries WHERE entry_id = ?", id));
  TRY(ReleaseKey(write.db, key));
  TRY(write.Append(ChangeKind::kEntryDeleted, id, stored->spiffe_id.text()));
  return EntryOutcome{OkStatus(), std::move(stored)};
}

Result<uint64_t> ReadLastSequence(Sqlite& db) {
  int64_t last = TRY(db.Number("SELECT coalesce(max(sequence), 0) FROM changes"));
  return static_cast<uint64_t>(last);
}

Result<std::vector<EntryOutcome>> SqliteEntries::Create(
    std::vector<Entry> entries, Time now, const std::function<std::string()>& new_id) {
  std::vector<EntryOutcome> outcomes;
  TRY(db_.Write([&](SqliteWrite& write) -> Status {
    for (Entry& entry : entries) {
      if (entry.id.empty()) entry.id = new_id();
      entry.created_at = ToUnixSeconds(now);
      outcomes.push_back(TRY(InsertEntry(write, std::move(entry))));
    }
    return OkStatus();
  }));
  return outcomes;
}

Result<std::vector<EntryOutcome>> SqliteEntries::Edit(std::vector<Update> updates) {
  std::vector<EntryOutcome> outcomes;
  TRY(db_.Write([&](SqliteWrite& write) -> Status {
    for (const Update& update : updates) outcomes.push_back(TRY(EditEntry(write, update)));
    return OkStatus();
  }));
  return outcomes;
}

Result<std::vector<EntryOutcome>> SqliteEntries::Delete(std::span<const std::string> ids) {
  std::vector<EntryOutcome> outcomes;
  TRY(db_.Write([&](SqliteWrite& write) -> Status {
    for (const std::string& id : ids) outcomes.push_back(TRY(DeleteEntry(write, id)));
    return OkStatus();
  }));
  return outcomes;
}

Result<std::vector<std::string>> SqliteEntries::Prune(Time before, size_t limit) {
  std::vector<std::string> expired;
  TRY(db_.Write([&](SqliteWrite& write) -> Status {
    {
      Statement rows = TRY(
          write.db.Query("SELECT entry_id FROM entries WHERE expires_at <> 0 AND expires_at < ? "
                         "ORDER BY expires_at LIMIT ?",
                         ToUnixSeconds(before), static_cast<int64_t>(limit)));
      while (TRY(rows.Step())) expired.push_back(rows.Text(0));
    }
    for (const std::string& id : expired) TRY(DeleteEntry(write, id));
    return OkStatus();
  }));
  return expired;
}

Result<Entry> SqliteEntries::Get(std::string_view id) {
  std::optional<Entry> found;
  TRY(db_.Read([&](Sqlite& db) -> Status {
    found = TRY(FindEntry(db, id));
    return OkStatus();
  }));
  if (!found) return NoEntry(id);
  return std::move(*found);
}

Status SqliteEntries::ForEach(uint64_t* sequence, const std::function<void(Entry)>& visit) {
  return db_.Read([&](Sqlite& db) -> Status {
    *sequence = TRY(ReadLastSequence(db));
    const InternedTables tables = TRY(InternedTables::Read(db));
    Statement rows = TRY(db.Query(
        "SELECT " WRIT_COLUMNS("e.spiffe_id", "e.parent_id") "FROM entries e ORDER BY e.entry_id"));
    while (TRY(rows.Step())) visit(TRY(ReadEntry(tables, rows)));
    return OkStatus();
  });
}

#undef WRIT_SELECT_ENTRY
#undef WRIT_COLUMNS

}  // namespace writ
