// SPDX-License-Identifier: Apache-2.0
//
// The SQLite store as a whole: its parts on one database, and the change sequence's readers.
#include <unistd.h>

#include <cerrno>

#include "server/store/sqlite_agents.h"
#include "server/store/sqlite_authorities.h"
#include "server/store/sqlite_database.h"
#include "server/store/sqlite_entries.h"
#include "server/store/sqlite_schema.h"
#include "server/store/store.h"

namespace writ {
namespace {

class SqliteChanges final : public ChangeFeed {
 public:
  explicit SqliteChanges(SqliteDatabase& db) : db_(db) {}
  Result<uint64_t> LastSequence() override;
  Result<std::vector<Change>> Since(uint64_t after, size_t limit) override;
  void SetListener(std::function<void(const std::vector<Change>&)> listener) override {
    db_.SetListener(std::move(listener));
  }

 private:
  SqliteDatabase& db_;
};

Result<uint64_t> SqliteChanges::LastSequence() {
  uint64_t last = 0;
  TRY(db_.Read([&](Sqlite& db) -> Status {
    last = TRY(ReadLastSequence(db));
    return OkStatus();
  }));
  return last;
}

Status ReadChanges(Sqlite& db, uint64_t after, size_t limit, std::vector<Change>& changes) {
  const uint64_t last = TRY(ReadLastSequence(db));
  const auto first =
      static_cast<uint64_t>(TRY(db.Number("SELECT coalesce(min(sequence), 1) FROM changes")));
  if (after + 1 < first || after > last) {
    return Status(Code::kOutOfRange, "the store keeps changes " + std::to_string(first) + " to " +
                                         std::to_string(last) + ", not those that follow " +
                                         std::to_string(after) + ": load anew");
  }
  Statement rows = TRY(db.Query(
      "SELECT sequence, kind, id, moved_from IS NOT NULL, coalesce(moved_from, '') FROM changes "
      "WHERE sequence > ? ORDER BY sequence LIMIT ?",
      after, limit));
  while (TRY(rows.Step())) {
    changes.push_back({static_cast<uint64_t>(rows.Int(0)), static_cast<ChangeKind>(rows.Int(1)),
                       rows.Text(2), std::nullopt});
    if (rows.Bool(3)) changes.back().moved_from = rows.Text(4);
  }
  return OkStatus();
}

Result<std::vector<Change>> SqliteChanges::Since(uint64_t after, size_t limit) {
  std::vector<Change> changes;
  TRY(db_.Read([&](Sqlite& db) { return ReadChanges(db, after, limit, changes); }));
  return changes;
}

class SqliteStore final : public Store {
 public:
  SqliteStore(std::string path, std::unique_ptr<SqliteDatabase> db)
      : path_(std::move(path)), db_(std::move(db)) {}

  EntryStore& entries() override { return entries_; }
  AgentStore& agents() override { return agents_; }
  BundleStore& bundles() override { return bundles_; }
  JournalStore& journal() override { return journal_; }
  ChangeFeed& changes() override { return changes_; }
  Status Check(bool deep) override;
  Status Close() override { return db_->Close(); }

 private:
  const std::string path_;
  const std::unique_ptr<SqliteDatabase> db_;  // its own locks
  SqliteEntries entries_{*db_};
  SqliteAgents agents_{*db_};
  SqliteBundles bundles_{*db_};
  SqliteJournal journal_{*db_};
  SqliteChanges changes_{*db_};
};

Status SqliteStore::Check(bool deep) {
  if (deep) return CheckSqliteStore(path_);
  TRY(db_->CheckWrites());
  return db_->Read([](Sqlite& db) -> Status {
    TRY(db.Number("SELECT value FROM meta WHERE key = 'closed_cleanly'"));
    return OkStatus();
  });
}

}  // namespace

Result<std::unique_ptr<Store>> OpenSqliteStore(const SqliteOptions& options) {
  std::unique_ptr<SqliteDatabase> db = TRY(SqliteDatabase::Open(options.path));
  return std::unique_ptr<Store>(std::make_unique<SqliteStore>(options.path, std::move(db)));
}

Status CheckSqliteStore(const std::string& path, bool deep) {
  if (access(path.c_str(), F_OK) != 0 && errno == ENOENT) {
    return NotFound(path + " does not exist: the server's first start makes it");
  }
  std::unique_ptr<Sqlite> db = TRY(Sqlite::Open(path, Sqlite::Access::kRead));
  if (TRY(SchemaVersion(*db)) == 0) return NotFound(path + " holds nothing");
  return deep ? db->CheckIntegrity(true) : OkStatus();
}

}  // namespace writ
