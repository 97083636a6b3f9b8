// SPDX-License-Identifier: Apache-2.0
#include "server/store/sqlite.h"

#include <sqlite3.h>

#include <cstring>

#include "core/base/bytes.h"

namespace writ {
namespace {

constexpr int kLockWaitMilliseconds = 5000;
constexpr int kFaultsNamedMax = 3;
constexpr int kCopyPagesPerStep = 256;

constexpr char kSettings[] =
    "PRAGMA foreign_keys = ON;"
    "PRAGMA synchronous = FULL;"
    "PRAGMA temp_store = MEMORY;"
    "PRAGMA trusted_schema = OFF;"
    "PRAGMA cell_size_check = ON;";

// Readers are several: half a MiB of pages each.
constexpr char kReaderSettings[] = "PRAGMA query_only = ON; PRAGMA cache_size = -512";

int OpenFlags(Sqlite::Access access) {
  int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_READWRITE;
  if (access == Sqlite::Access::kCreate) flags |= SQLITE_OPEN_CREATE;
  return flags;
}

}  // namespace

// ---- Statement ----------------------------------------------------------------------------------

Statement::Statement(Statement&& other) noexcept
    : db_(std::exchange(other.db_, nullptr)), cached_(other.cached_) {}

Statement::~Statement() {
  if (!db_) return;
  sqlite3_reset(cached_->stmt);
  sqlite3_clear_bindings(cached_->stmt);
  cached_->lent = false;
}

Result<bool> Statement::Step() {
  int code = sqlite3_step(cached_->stmt);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return db_->ErrorOf(code);
}

int64_t Statement::Int(int column) const { return sqlite3_column_int64(cached_->stmt, column); }

std::string_view Statement::Bytes(int column) const {
  const void* bytes = sqlite3_column_blob(cached_->stmt, column);
  const int size = sqlite3_column_bytes(cached_->stmt, column);
  return {static_cast<const char*>(bytes), bytes ? static_cast<size_t>(size) : 0};
}

// A bind fails only on a parameter that the statement does not have or a value over SQLite's limit
// of a gigabyte: bugs both.
void Statement::Bind(int at, std::string_view text) {
  CHECK(sqlite3_bind_text64(cached_->stmt, at, text.data() ? text.data() : "", text.size(),
                            SQLITE_TRANSIENT, SQLITE_UTF8) == SQLITE_OK);
}

void Statement::Bind(int at, Blob blob) {
  CHECK(sqlite3_bind_blob64(cached_->stmt, at, blob.bytes.data() ? blob.bytes.data() : "",
                            blob.bytes.size(), SQLITE_TRANSIENT) == SQLITE_OK);
}

void Statement::Bind(int at, int64_t value) {
  CHECK(sqlite3_bind_int64(cached_->stmt, at, value) == SQLITE_OK);
}

// ---- Sqlite -------------------------------------------------------------------------------------

Result<std::unique_ptr<Sqlite>> Sqlite::Open(const std::string& path, Access access, Holds holds) {
  sqlite3* raw = nullptr;
  int code = sqlite3_open_v2(path.c_str(), &raw, OpenFlags(access), nullptr);
  CHECK(raw != nullptr);  // null only when there is no memory for a handle
  std::unique_ptr<Sqlite> db(new Sqlite(path, holds, raw));
  if (code != SQLITE_OK) return db->ErrorOf(code);
  sqlite3_busy_timeout(raw, kLockWaitMilliseconds);
  TRY(db->RunScript(kSettings));
  if (access == Access::kRead) TRY(db->RunScript(kReaderSettings));
  return db;
}

Sqlite::~Sqlite() {
  for (auto& [sql, cached] : statements_) {
    CHECK(!cached.lent);
    sqlite3_finalize(cached.stmt);
  }
  CHECK(sqlite3_close(db_) == SQLITE_OK);
}

Result<Statement> Sqlite::Lend(std::string_view sql) {
  Statement::Cached& cached = statements_[sql];
  if (!cached.stmt) {
    int code = sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size()),
                                  SQLITE_PREPARE_PERSISTENT, &cached.stmt, nullptr);
    if (code != SQLITE_OK) return ErrorOf(code);
  }
  CHECK(!cached.lent);
  cached.lent = true;
  return Statement(this, &cached);
}

Status Sqlite::RunScript(const std::string& sql) {
  int code = sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? OkStatus() : ErrorOf(code);
}

int64_t Sqlite::LastInsertRowId() const { return sqlite3_last_insert_rowid(db_); }
int64_t Sqlite::RowsChanged() const { return sqlite3_changes64(db_); }
bool Sqlite::InTransaction() const { return sqlite3_get_autocommit(db_) == 0; }

Status Sqlite::CheckIntegrity(bool deep) {
  std::string faults;
  Statement check = TRY(Query(deep ? "PRAGMA integrity_check" : "PRAGMA quick_check"));
  for (int count = 0; count < kFaultsNamedMax && TRY(check.Step()); ++count) {
    if (check.Bytes(0) == "ok") continue;
    faults += (faults.empty() ? "" : "; ") + Printable(check.Bytes(0));
  }
  if (deep && faults.empty()) {
    Statement keys = TRY(Query("PRAGMA foreign_key_check"));
    if (TRY(keys.Step())) faults = "a row of " + keys.Text(0) + " refers to one that is gone";
  }
  if (faults.empty()) return OkStatus();
  return ErrorOf(SQLITE_CORRUPT).Annotate(faults);
}

Status Sqlite::CopyTo(const std::string& path) {
  std::unique_ptr<Sqlite> target = TRY(Open(path, Access::kCreate, holds_));
  // A read transaction of our own: the copy is of this moment, and writers neither wait nor make
  // the copy begin again.
  TRY(RunScript("BEGIN; SELECT count(*) FROM sqlite_schema"));
  sqlite3_backup* copy = sqlite3_backup_init(target->db_, "main", db_, "main");
  int code = SQLITE_OK;
  while (copy && code == SQLITE_OK) code = sqlite3_backup_step(copy, kCopyPagesPerStep);
  code = copy ? sqlite3_backup_finish(copy) : sqlite3_extended_errcode(target->db_);
  Status ended = RunScript("COMMIT");
  if (code != SQLITE_OK) return target->ErrorOf(code);
  return ended;
}

Status Sqlite::ErrorOf(int code) const {
  std::string what = path_ + ": " + sqlite3_errstr(code);
  if (int error = sqlite3_system_errno(db_); error != 0 && (code & 0xff) != SQLITE_CORRUPT) {
    what += std::string(" (") + std::strerror(error) + ")";
  }
  switch (code & 0xff) {
    case SQLITE_FULL:
      return Unavailable(what + ": free space on its disk; the server goes on by itself then");
    case SQLITE_IOERR:
      return Unavailable(what + ": check its disk and the kernel's log");
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return Unavailable(what + ": make the file, its directory and the file system writable for " +
                         "the server's user");
    case SQLITE_CANTOPEN:
      return Unavailable(what + ": its directory must exist and be writable for the server's user");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
      return Unavailable(what + ": another process holds it; end that process");
    case SQLITE_NOMEM:
      return Unavailable(what + ": give the server more memory");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      // Whoever works on a copy knows what it is a copy of, and says what to do.
      if (holds_ == Holds::kCopy) return DataLoss(sqlite3_errstr(code));
      return DataLoss(what + ": stop the server and put a backup in its place with " +
                      "`writ-server restore`, which sets this file aside");
    default:
      return Internal(what + " (" + sqlite3_errmsg(db_) + ")");
  }
}

}  // namespace writ
