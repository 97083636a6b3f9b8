// SPDX-License-Identifier: Apache-2.0
//
// SqliteDatabase: one connection that writes, a few that read, and the change sequence.
//
// Concurrent writes share a commit: whoever finds no leader becomes it, takes the writes that wait,
// runs each under a savepoint of its own in one transaction, commits (one fsync), tells the
// listener, and lets their callers go on. A write that fails is undone alone.
//
// Threads: thread-safe. A write's body may run on another caller's thread while its own waits.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/status.h"
#include "server/store/sqlite.h"
#include "server/store/store.h"

namespace writ {

inline constexpr uint64_t kChangesKeptMax = 100'000;

// A write's view of the database: the connection, and the sequence that it appends to.
class SqliteWrite {
 public:
  explicit SqliteWrite(Sqlite& db) : db(db) {}
  Status Append(ChangeKind kind, std::string_view id,
                std::optional<std::string> moved_from = std::nullopt);

  Sqlite& db;
  std::vector<Change> changes;
};

class SqliteDatabase {
 public:
  using WriteBody = std::function<Status(SqliteWrite&)>;
  using ReadBody = std::function<Status(Sqlite&)>;
  using Listener = std::function<void(const std::vector<Change>&)>;

  // Opens or creates the file (0600), brings its schema up to date, checks it when it was not
  // closed.
  static Result<std::unique_ptr<SqliteDatabase>> Open(const std::string& path);
  ~SqliteDatabase();

  // Runs `body` in a transaction; when this returns OK, what it did is durable and the listener
  // knows.
  Status Write(const WriteBody& body) EXCLUDES(mu_);
  // Runs `body` against one consistent state.
  Status Read(const ReadBody& body) EXCLUDES(mu_);
  // How a write has failed since the last call, for what the database is or lies on; where the
  // last one did, tries one that nobody sees.
  Status CheckWrites() EXCLUDES(mu_);
  void SetListener(Listener listener) EXCLUDES(mu_);
  Status Close() EXCLUDES(mu_);

 private:
  struct Waiting {
    const WriteBody* body;
    Status status;
    bool done = false;
  };

  SqliteDatabase(std::string path, std::unique_ptr<Sqlite> writer)
      : path_(std::move(path)), writer_(std::move(writer)) {}
  void Lead(const Waiting& own) REQUIRES(mu_);
  void Commit(const std::vector<Waiting*>& batch, const Listener& listener);
  Status RunBatch(const std::vector<Waiting*>& batch, SqliteWrite& write);
  Status RunOne(Waiting& waiting, SqliteWrite& write);
  Status RollBack();
  Result<std::unique_ptr<Sqlite>> BorrowReader() EXCLUDES(mu_);
  void GiveBackReader(std::unique_ptr<Sqlite> reader) EXCLUDES(mu_);

  const std::string path_;
  Mutex mu_;
  CondVar changed_;  // a batch is done, the lead is free, or a reader came back
  std::vector<Waiting*> queue_ GUARDED_BY(mu_);
  bool led_ GUARDED_BY(mu_) = false;
  bool writes_fail_ GUARDED_BY(mu_) = false;
  Status failure_ GUARDED_BY(mu_);        // not told yet
  bool closing_ GUARDED_BY(mu_) = false;  // no new writes
  bool closed_ GUARDED_BY(mu_) = false;   // and no new reads
  Listener listener_ GUARDED_BY(mu_);
  std::unique_ptr<Sqlite> writer_;  // used by the leader alone
  std::vector<std::unique_ptr<Sqlite>> idle_readers_ GUARDED_BY(mu_);
  size_t readers_lent_ GUARDED_BY(mu_) = 0;
};

}  // namespace writ
