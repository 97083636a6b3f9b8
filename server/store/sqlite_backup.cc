// SPDX-License-Identifier: Apache-2.0
//
// Backup and restore of the SQLite store. Each makes a private file beside its target, checks it,
// and only then gives it the target's name, so that a crash leaves the old file or the new one.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <limits>

#include "core/base/file.h"
#include "server/store/sqlite_authorities.h"
#include "server/store/sqlite_database.h"
#include "server/store/sqlite_schema.h"
#include "server/store/store.h"

namespace writ {
namespace {

constexpr mode_t kFileMode = 0600;
constexpr int kAsidePerSecondMax = 100;

std::string DirectoryOf(const std::string& path) {
  const std::string directory = std::filesystem::path(path).parent_path();
  return directory.empty() ? "." : directory;
}

// SQLite's other files go with a database; both are empty or gone when it was closed.
Status RemoveDatabase(const std::string& path) {
  for (const char* suffix : {"-wal", "-shm", "-journal", ""}) TRY(RemoveFile(path + suffix));
  return OkStatus();
}

Status MakeEmptyPrivate(const std::string& path) {
  Fd file(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kFileMode));
  if (file.valid() && fchmod(file.get(), kFileMode) == 0) return OkStatus();
  return Unavailable("make " + path + ": " + std::strerror(errno));
}

Status SyncFile(const std::string& path) {
  Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.valid() && fsync(file.get()) == 0) return OkStatus();
  return Unavailable("sync " + path + ": " + std::strerror(errno));
}

Status Rename(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) == 0) return SyncDirectory(DirectoryOf(to));
  return Unavailable("rename " + from + " to " + to + ": " + std::strerror(errno));
}

// A whole copy of `from` at `to`, which is not there yet.
Status Copy(const std::string& from, Sqlite::Holds holds, const std::string& to) {
  if (access(from.c_str(), F_OK) != 0 && errno == ENOENT) {
    return NotFound(from + " does not exist");
  }
  std::unique_ptr<Sqlite> source = TRY(Sqlite::Open(from, Sqlite::Access::kRead, holds));
  const int64_t version = TRY(SchemaVersion(*source));
  if (version == 0) return FailedPrecondition(from + " is empty: it holds no store");
  TRY(MakeEmptyPrivate(to));
  return source->CopyTo(to);
}

Result<BackupContents> ContentsOf(Sqlite& db) {
  BackupContents contents;
  contents.entries = TRY(db.Number("SELECT count(*) FROM entries"));
  contents.agents = TRY(db.Number("SELECT count(*) FROM agents"));
  return contents;
}

// One file that needs no other, which a reader can open even where it may not write.
Result<BackupContents> FinishBackup(const std::string& path) {
  std::unique_ptr<Sqlite> copy = TRY(Sqlite::Open(path, Sqlite::Access::kWrite));
  TRY(copy->RunScript("PRAGMA journal_mode = DELETE"));
  TRY(copy->CheckIntegrity(true), "check the copy");
  return ContentsOf(*copy);
}

Status MoveOn(Sqlite& db, Time now) {
  const int64_t seconds = ToUnixSeconds(now);
  const int64_t micros =
      std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch()).count();
  TRY(db.RunScript("BEGIN IMMEDIATE"));
  TRY(db.Run("UPDATE entries SET revision = max(revision + 1, ?)", seconds));
  TRY(db.Run("UPDATE bundles SET sequence_number = max(sequence_number + 1, ?)", seconds));
  const int64_t last = TRY(db.Number("SELECT coalesce(max(sequence), 0) FROM changes"));
  TRY(db.Run("DELETE FROM changes"));
  TRY(
      db.Run("INSERT INTO changes (sequence, kind, id) VALUES (max(?, ?), ?, "
             "coalesce((SELECT trust_domain FROM bundles LIMIT 1), ''))",
             last + 1, micros, static_cast<int>(ChangeKind::kBundle)));
  return db.RunScript("COMMIT");
}

// Everything that distinguishes the restored store from the backup, done to the copy.
Result<BackupContents> FinishRestore(const std::string& path, Time now,
                                     const std::function<Status(Store&)>& accept) {
  {
    std::unique_ptr<Sqlite> copy =
        TRY(Sqlite::Open(path, Sqlite::Access::kWrite, Sqlite::Holds::kCopy));
    // Before anything reads or writes through it.
    TRY(CheckSchema(*copy));
    TRY(copy->CheckIntegrity(true), "check it");
  }
  std::unique_ptr<Store> store = TRY(OpenSqliteStore({.path = path}));
  TRY(accept(*store));
  const PruneRule every_token{.tokens_before = Time::max(),
                              .limit = std::numeric_limits<int64_t>::max()};
  TRY(store->agents().Prune(every_token), "drop the join tokens");
  TRY(store->Close());
  std::unique_ptr<Sqlite> copy = TRY(Sqlite::Open(path, Sqlite::Access::kWrite));
  TRY(MoveOn(*copy, now));
  BackupContents contents = TRY(ContentsOf(*copy));
  TRY(copy->RunScript("PRAGMA wal_checkpoint(TRUNCATE)"));
  return contents;
}

// What is set aside keeps its last commits when it can still be opened, and is linked before the
// new file takes its name, so that at each moment a database stands there.
Result<std::string> SetAside(const std::string& path, Time now) {
  if (access(path.c_str(), F_OK) != 0 && errno == ENOENT) return std::string();
  if (Result<std::unique_ptr<Sqlite>> old = Sqlite::Open(path, Sqlite::Access::kWrite); old.ok()) {
    // Failure is the very case that a restore is for: the files are kept as they are.
    (void)(*old)->RunScript("PRAGMA wal_checkpoint(TRUNCATE)").ok();
  }
  const std::string first = path + ".replaced-" + std::to_string(ToUnixSeconds(now));
  std::string aside = first;
  // One that stands there, of a restore in the same second, is another store: it is left alone.
  int failed = link(path.c_str(), aside.c_str());
  for (int number = 2; failed != 0 && errno == EEXIST && number <= kAsidePerSecondMax; ++number) {
    aside = first + "-" + std::to_string(number);
    failed = link(path.c_str(), aside.c_str());
  }
  if (failed != 0) {
    return Unavailable("set " + path + " aside as " + aside + ": " + std::strerror(errno));
  }
  for (const char* suffix : {"-wal", "-shm"}) {
    if (access((path + suffix).c_str(), F_OK) == 0) TRY(Rename(path + suffix, aside + suffix));
  }
  return aside;
}

}  // namespace

Result<BackupContents> BackUpSqliteStore(const std::string& path, const std::string& to) {
  std::error_code ignored;
  if (std::filesystem::equivalent(path, to, ignored)) {
    return InvalidArgument("a backup cannot take the place of the store itself: name another file");
  }
  const std::string partial = to + ".partial";
  TRY(RemoveDatabase(partial));
  Result<BackupContents> contents = [&]() -> Result<BackupContents> {
    TRY(Copy(path, Sqlite::Holds::kStore, partial));
    BackupContents made = TRY(FinishBackup(partial));
    TRY(SyncFile(partial));
    TRY(Rename(partial, to));
    return made;
  }();
  if (!contents.ok()) {
    TRY(RemoveDatabase(partial), contents.status().message());
    return contents.status().Annotate("back up the store");
  }
  return contents;
}

Result<BackupContents> RestoreSqliteStore(const std::string& from, const std::string& path,
                                          Time now, const std::function<Status(Store&)>& accept) {
  std::error_code ignored;
  if (std::filesystem::equivalent(from, path, ignored)) {
    return InvalidArgument("the backup must be another file than the store that it replaces");
  }
  const std::string partial = path + ".partial";
  TRY(RemoveDatabase(partial));
  Result<BackupContents> contents = [&]() -> Result<BackupContents> {
    TRY(Copy(from, Sqlite::Holds::kCopy, partial));
    BackupContents made = TRY(FinishRestore(partial, now, accept));
    TRY(SyncFile(partial));
    made.set_aside = TRY(SetAside(path, now));
    TRY(Rename(partial, path));
    return made;
  }();
  if (contents.ok()) return contents;
  TRY(RemoveDatabase(partial), contents.status().message());
  if (contents.code() == Code::kDataLoss) {
    return DataLoss(from + " is damaged (" + contents.status().message() +
                    "): restore from another backup; nothing was changed");
  }
  return contents.status().Annotate("restore the store from " + from);
}

}  // namespace writ
