// SPDX-License-Identifier: Apache-2.0
//
// Sqlite and Statement: one connection to a SQLite file and its prepared statements, with SQLite's
// answers as Status: Unavailable when the disk is full, failing or read-only or the file is locked,
// DataLoss when the file is damaged; each says what to do.
//
// Threads: one at a time. Lifetime: a Statement ends before its Sqlite.
#pragma once

#include <concepts>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/status.h"

struct sqlite3;
struct sqlite3_stmt;

namespace writ {

class Sqlite;

// Bytes to bind, where plain string_view is text.
struct Blob {
  std::string_view bytes;
};

// A prepared statement on loan from its connection's cache, with its values bound. Gives it back,
// reset, when it goes.
class Statement {
 public:
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&&) = delete;
  ~Statement();

  // True: there is a row to read. False: done.
  Result<bool> Step();

  // Of the current row. Views hold until the next Step().
  int64_t Int(int column) const;
  bool Bool(int column) const { return Int(column) != 0; }
  std::string_view Bytes(int column) const;  // text or blob; empty when NULL
  std::string Text(int column) const { return std::string(Bytes(column)); }

 private:
  friend class Sqlite;
  struct Cached {
    sqlite3_stmt* stmt = nullptr;
    bool lent = false;
  };
  Statement(Sqlite* db, Cached* cached) : db_(db), cached_(cached) {}
  void Bind(int at, std::string_view text);
  void Bind(int at, Blob blob);
  void Bind(int at, int64_t value);
  template <std::integral Integer>
  void Bind(int at, Integer value) {
    Bind(at, static_cast<int64_t>(value));
  }

  Sqlite* db_;      // null when moved from
  Cached* cached_;  // owned by the connection
};

class Sqlite {
 public:
  enum class Access { kCreate, kWrite, kRead };
  // The server's store, or a copy of one: what to do about damage differs.
  enum class Holds { kStore, kCopy };

  // Opens with Writ's settings: foreign keys, full durability, a bounded wait for locks.
  static Result<std::unique_ptr<Sqlite>> Open(const std::string& path, Access access,
                                              Holds holds = Holds::kStore);
  ~Sqlite();
  Sqlite(const Sqlite&) = delete;
  Sqlite& operator=(const Sqlite&) = delete;

  // A statement with `values` bound to its parameters in order. `sql` is a literal: it is prepared
  // once and kept under this very text.
  template <typename... Values>
  Result<Statement> Query(std::string_view sql, const Values&... values) {
    Statement statement = TRY(Lend(sql));
    int at = 0;
    (statement.Bind(++at, values), ...);
    return statement;
  }
  // Runs to its end a statement whose rows, if any, do not matter.
  template <typename... Values>
  Status Run(std::string_view sql, const Values&... values) {
    Statement statement = TRY(Query(sql, values...));
    while (TRY(statement.Step())) {
    }
    return OkStatus();
  }
  // The one number that a statement answers; NotFound when it has no row.
  template <typename... Values>
  Result<int64_t> Number(std::string_view sql, const Values&... values) {
    Statement statement = TRY(Query(sql, values...));
    if (!TRY(statement.Step())) return NotFound("no row");
    return statement.Int(0);
  }
  // Several statements, not prepared: schema changes.
  Status RunScript(const std::string& sql);

  int64_t LastInsertRowId() const;
  int64_t RowsChanged() const;  // by the last statement that ran
  bool InTransaction() const;

  // The consistency of the file's pages and indexes; `deep` reads every index entry, and foreign
  // keys too. DataLoss names the first faults.
  Status CheckIntegrity(bool deep);
  // Copies the whole database into a new file at `path`, from one consistent view of it.
  Status CopyTo(const std::string& path);

  // What SQLite's result code means to whoever runs this server.
  Status ErrorOf(int code) const;

 private:
  friend class Statement;
  Sqlite(std::string path, Holds holds, sqlite3* db)
      : path_(std::move(path)), holds_(holds), db_(db) {}
  Result<Statement> Lend(std::string_view sql);

  const std::string path_;
  const Holds holds_;
  sqlite3* const db_;  // owned
  std::map<std::string_view, Statement::Cached> statements_;
};

}  // namespace writ
