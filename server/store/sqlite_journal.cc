// SPDX-License-Identifier: Apache-2.0
#include "server/store/sqlite_authorities.h"
#include "server/store/sqlite_interned.h"

namespace writ {
namespace {

Result<JournalRow> ReadRow(const Statement& row) {
  const int64_t kind = row.Int(1);
  const int64_t status = row.Int(2);
  if (kind < 1 || kind > 2 || status < 1 || status > 3) return BrokenRow("a broken journal row");
  return JournalRow{
      .authority_id = row.Text(0),
      .kind = static_cast<AuthorityKind>(kind),
      .status = static_cast<AuthorityStatus>(status),
      .key_name = row.Text(3),
      .certificate = row.Text(4),
      .public_key = row.Text(5),
      .issued_at = row.Int(6),
      .not_after = row.Int(7),
      .activated_at = row.Int(8),
  };
}

Status PutRow(Sqlite& db, const JournalRow& row) {
  return db.Run(
      "INSERT INTO ca_journal (authority_id, kind, status, key_name, certificate, public_key, "
      "issued_at, not_after, activated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) "
      "ON CONFLICT (authority_id) DO UPDATE SET kind = excluded.kind, status = excluded.status, "
      "key_name = excluded.key_name, certificate = excluded.certificate, "
      "public_key = excluded.public_key, issued_at = excluded.issued_at, "
      "not_after = excluded.not_after, activated_at = excluded.activated_at",
      row.authority_id, static_cast<int>(row.kind), static_cast<int>(row.status), row.key_name,
      Blob{row.certificate}, Blob{row.public_key}, row.issued_at, row.not_after, row.activated_at);
}

}  // namespace

Result<std::vector<JournalRow>> SqliteJournal::Load() {
  std::vector<JournalRow> journal;
  TRY(db_.Read([&](Sqlite& db) -> Status {
    Statement rows = TRY(db.Query(
        "SELECT authority_id, kind, status, key_name, certificate, public_key, issued_at, "
        "not_after, activated_at FROM ca_journal ORDER BY position"));
    while (TRY(rows.Step())) journal.push_back(TRY(ReadRow(rows)));
    return OkStatus();
  }));
  return journal;
}

Status SqliteJournal::Apply(std::span<const JournalRow> put, std::span<const std::string> remove) {
  return db_.Write([&](SqliteWrite& write) -> Status {
    for (const JournalRow& row : put) TRY(PutRow(write.db, row));
    for (const std::string& id : remove) {
      TRY(write.db.Run("DELETE FROM ca_journal WHERE authority_id = ?", id));
    }
    return OkStatus();
  });
}

}  // namespace writ
