// SPDX-License-Identifier: Apache-2.0
#include "server/store/sqlite_database.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/base/file.h"
#include "server/store/sqlite_schema.h"

namespace writ {
namespace {

constexpr size_t kReadersMax = 8;
constexpr size_t kWritesPerCommitMax = 64;
constexpr mode_t kFileMode = 0600;

// What it lies on, or is, is in the way: not what was asked for.
bool IsDiskFailure(const Status& status) {
  return status.code() == Code::kUnavailable || status.code() == Code::kDataLoss ||
         status.code() == Code::kInternal;
}

Status Closed() { return Unavailable("the store is closed: the server is stopping"); }

// SQLite gives its -wal and -shm files the mode of the database.
Status MakePrivate(const std::string& path) {
  Fd file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kFileMode));
  if (file.valid() && fchmod(file.get(), kFileMode) == 0) return OkStatus();
  return Unavailable(path + ": " + std::strerror(errno) +
                     ": the file and its directory must belong to the server's user");
}

Status UseWriteAheadLog(Sqlite& db) {
  Statement mode = TRY(db.Query("PRAGMA journal_mode = WAL"));
  const bool row = TRY(mode.Step());
  if (row && mode.Bytes(0) == "wal") return OkStatus();
  return Unavailable("the store's file system cannot hold a write-ahead log (is it a network file "
                     "system?): set datastore.sqlite.path to a local disk");
}

// Only a file whose last user did not close it is checked: the check reads every page.
Status CheckAfterCrash(Sqlite& db) {
  const int64_t closed = TRY(db.Number("SELECT value FROM meta WHERE key = 'closed_cleanly'"));
  if (closed == 0) TRY(db.CheckIntegrity(false), "check the store after an unclean stop");
  return db.Run("UPDATE meta SET value = 0 WHERE key = 'closed_cleanly' AND value <> 0");
}

}  // namespace

Status SqliteWrite::Append(ChangeKind kind, std::string_view id,
                           std::optional<std::string> moved_from) {
  if (moved_from) {
    TRY(db.Run("INSERT INTO changes (kind, id, moved_from) VALUES (?, ?, ?)",
               static_cast<int>(kind), id, *moved_from));
  } else {
    TRY(db.Run("INSERT INTO changes (kind, id) VALUES (?, ?)", static_cast<int>(kind), id));
  }
  changes.push_back({static_cast<uint64_t>(db.LastInsertRowId()), kind, std::string(id),
                     std::move(moved_from)});
  return OkStatus();
}

Result<std::unique_ptr<SqliteDatabase>> SqliteDatabase::Open(const std::string& path) {
  TRY(MakePrivate(path));
  std::unique_ptr<Sqlite> writer = TRY(Sqlite::Open(path, Sqlite::Access::kCreate));
  const int64_t version = TRY(SchemaVersion(*writer));
  TRY(UseWriteAheadLog(*writer));
  if (version > 0) TRY(CheckAfterCrash(*writer));
  TRY(Migrate(*writer));
  return std::unique_ptr<SqliteDatabase>(new SqliteDatabase(path, std::move(writer)));
}

SqliteDatabase::~SqliteDatabase() {
  MutexLock lock(mu_);
  CHECK(!led_ && queue_.empty() && readers_lent_ == 0);
}

// ---- writing ------------------------------------------------------------------------------------

Status SqliteDatabase::Write(const WriteBody& body) {
  Waiting own{.body = &body};
  MutexLock lock(mu_);
  if (closing_) return Closed();
  queue_.push_back(&own);
  while (!own.done && led_) changed_.Wait(mu_);
  if (!own.done) Lead(own);
  return own.status;
}

// Commits batches until the leader's own write is among those done.
void SqliteDatabase::Lead(const Waiting& own) {
  led_ = true;
  while (!own.done) {
    const size_t count = std::min(queue_.size(), kWritesPerCommitMax);
    const auto end = queue_.begin() + static_cast<ptrdiff_t>(count);
    std::vector<Waiting*> batch(queue_.begin(), end);
    queue_.erase(queue_.begin(), end);
    const Listener listener = listener_;
    mu_.Unlock();
    Commit(batch, listener);
    mu_.Lock();
    writes_fail_ = false;
    for (Waiting* waiting : batch) {
      waiting->done = true;
      if (!IsDiskFailure(waiting->status)) continue;
      writes_fail_ = true;
      failure_ = waiting->status;
    }
    changed_.NotifyAll();
  }
  led_ = false;
  changed_.NotifyAll();
}

void SqliteDatabase::Commit(const std::vector<Waiting*>& batch, const Listener& listener) {
  SqliteWrite write(*writer_);
  Status committed = RunBatch(batch, write);
  if (!committed.ok()) {
    if (Status undone = RollBack(); !undone.ok()) committed = undone.Annotate("undo a write");
    for (Waiting* waiting : batch) {
      if (waiting->status.ok()) waiting->status = committed;
    }
    return;
  }
  if (listener && !write.changes.empty()) listener(write.changes);
}

Status SqliteDatabase::RunBatch(const std::vector<Waiting*>& batch, SqliteWrite& write) {
  TRY(RollBack());  // what an earlier failure left open
  TRY(writer_->Run("BEGIN IMMEDIATE"));
  for (Waiting* waiting : batch) TRY(RunOne(*waiting, write));
  if (!write.changes.empty() && write.changes.back().sequence > kChangesKeptMax) {
    TRY(writer_->Run("DELETE FROM changes WHERE sequence <= ?",
                     write.changes.back().sequence - kChangesKeptMax));
  }
  return writer_->Run("COMMIT");
}

// Fails only when the transaction itself is lost; the write's own failure is in its `status`.
Status SqliteDatabase::RunOne(Waiting& waiting, SqliteWrite& write) {
  const size_t changes_before = write.changes.size();
  TRY(writer_->Run("SAVEPOINT one_write"));
  waiting.status = (*waiting.body)(write);
  if (!waiting.status.ok()) {
    if (!writer_->InTransaction()) return waiting.status;
    write.changes.resize(changes_before);
    TRY(writer_->Run("ROLLBACK TO one_write"));
  }
  return writer_->Run("RELEASE one_write");
}

Status SqliteDatabase::RollBack() {
  return writer_->InTransaction() ? writer_->Run("ROLLBACK") : OkStatus();
}

Status SqliteDatabase::CheckWrites() {
  {
    MutexLock lock(mu_);
    if (!failure_.ok()) return std::exchange(failure_, OkStatus());
    if (!writes_fail_) return OkStatus();
  }
  Status tried = Write([](SqliteWrite& write) {
    return write.db.Run(
        "INSERT INTO meta (key, value) VALUES ('write_checks', 1) "
        "ON CONFLICT (key) DO UPDATE SET value = value + 1");
  });
  MutexLock lock(mu_);
  failure_ = OkStatus();  // told now
  return tried;
}

// Waits for a batch that runs, so that the old listener is not called once this returns.
void SqliteDatabase::SetListener(Listener listener) {
  MutexLock lock(mu_);
  while (led_) changed_.Wait(mu_);
  CHECK(!listener_ || !listener);
  listener_ = std::move(listener);
}

// ---- reading ------------------------------------------------------------------------------------

Status SqliteDatabase::Read(const ReadBody& body) {
  std::unique_ptr<Sqlite> reader = TRY(BorrowReader());
  Status status = reader->Run("BEGIN");
  if (status.ok()) {
    status = body(*reader);
    Status ended = reader->Run("COMMIT");
    if (status.ok()) status = ended;
  }
  GiveBackReader(std::move(reader));
  return status;
}

Result<std::unique_ptr<Sqlite>> SqliteDatabase::BorrowReader() {
  MutexLock lock(mu_);
  while (!closed_ && idle_readers_.empty() && readers_lent_ >= kReadersMax) changed_.Wait(mu_);
  if (closed_) return Closed();
  std::unique_ptr<Sqlite> reader;
  if (idle_readers_.empty()) {
    reader = TRY(Sqlite::Open(path_, Sqlite::Access::kRead));
  } else {
    reader = std::move(idle_readers_.back());
    idle_readers_.pop_back();
  }
  ++readers_lent_;
  return reader;
}

void SqliteDatabase::GiveBackReader(std::unique_ptr<Sqlite> reader) {
  MutexLock lock(mu_);
  --readers_lent_;
  if (!reader->InTransaction()) idle_readers_.push_back(std::move(reader));
  changed_.NotifyAll();
}

// ---- the end ------------------------------------------------------------------------------------

Status SqliteDatabase::Close() {
  MutexLock lock(mu_);
  if (closing_) return OkStatus();
  closing_ = true;
  while (!queue_.empty() || led_) changed_.Wait(mu_);  // their listener still reads
  closed_ = true;
  while (readers_lent_ > 0) changed_.Wait(mu_);
  idle_readers_.clear();
  TRY(writer_->Run("UPDATE meta SET value = 1 WHERE key = 'closed_cleanly'"), "close the store");
  // The file alone then holds everything; SQLite removes the log with the last connection.
  TRY(writer_->RunScript("PRAGMA wal_checkpoint(TRUNCATE)"), "close the store");
  writer_.reset();
  return OkStatus();
}

}  // namespace writ
