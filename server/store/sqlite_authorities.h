// SPDX-License-Identifier: Apache-2.0
//
// Bundles and the CA's journal in SQLite.
//
// Threads: thread-safe.
#pragma once

#include "server/store/sqlite_database.h"
#include "server/store/store.h"

namespace writ {

class SqliteBundles final : public BundleStore {
 public:
  explicit SqliteBundles(SqliteDatabase& db) : db_(db) {}
  Result<Bundle> Get(const TrustDomain& td) override;
  Result<Bundle> Edit(const TrustDomain& td, const std::function<Status(Bundle&)>& edit) override;

 private:
  SqliteDatabase& db_;
};

class SqliteJournal final : public JournalStore {
 public:
  explicit SqliteJournal(SqliteDatabase& db) : db_(db) {}
  Result<std::vector<JournalRow>> Load() override;
  Status Apply(std::span<const JournalRow> put, std::span<const std::string> remove) override;

 private:
  SqliteDatabase& db_;
};

}  // namespace writ
