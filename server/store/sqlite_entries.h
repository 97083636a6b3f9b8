// SPDX-License-Identifier: Apache-2.0
//
// Entries in SQLite.
//
// Threads: thread-safe; the free functions run inside a write.
#pragma once

#include "server/store/sqlite_database.h"
#include "server/store/store.h"

namespace writ {

class SqliteEntries final : public EntryStore {
 public:
  explicit SqliteEntries(SqliteDatabase& db) : db_(db) {}
  Result<std::vector<EntryOutcome>> Create(std::vector<Entry> entries, Time now,
                                           const std::function<std::string()>& new_id) override;
  Result<std::vector<EntryOutcome>> Edit(std::vector<Update> updates) override;
  Result<std::vector<EntryOutcome>> Delete(std::span<const std::string> ids) override;
  Result<std::vector<std::string>> Prune(Time before, size_t limit) override;
  Result<Entry> Get(std::string_view id) override;
  Status ForEach(uint64_t* sequence, const std::function<void(Entry)>& visit) override;

 private:
  SqliteDatabase& db_;
};

// Inserts an entry that has its ID and created_at, at revision 0; AlreadyExists carries the similar
// entry, or the one with that ID. A Status alone is the store's failure.
Result<EntryOutcome> InsertEntry(SqliteWrite& write, Entry entry);
// NotFound as an outcome.
Result<EntryOutcome> DeleteEntry(SqliteWrite& write, std::string_view id);
bool SimilarEntries(const Entry& a, const Entry& b);

Result<uint64_t> ReadLastSequence(Sqlite& db);

}  // namespace writ
