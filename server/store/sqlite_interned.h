// SPDX-License-Identifier: Apache-2.0
//
// The interned tables: SPIFFE IDs and selectors stand once in the file, under a number, and count
// their uses; one that nobody uses any more is removed.
//
// Threads: as their connection. The functions that change something run inside a write.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/base/status.h"
#include "core/spiffe/id.h"
#include "core/spiffe/selector.h"
#include "server/store/sqlite.h"

namespace writ {

// The ID's number, one use more.
Result<int64_t> AcquireId(Sqlite& db, const SpiffeId& id);
Status ReleaseId(Sqlite& db, int64_t number);
// The ID's number; NotFound when nothing uses it.
Result<int64_t> FindId(Sqlite& db, std::string_view text);

// The set as it is stored, each selector's uses one more: equal sets give equal bytes.
Result<std::string> AcquireSelectors(Sqlite& db, const Selectors& selectors);
Status ReleaseSelectors(Sqlite& db, std::string_view stored);
// The stored set of one selector, by its number.
std::string StoredSelector(int64_t number);
Result<Selectors> ReadSelectors(Sqlite& db, std::string_view stored);

// Both tables as they are now, for who reads very many rows that refer to them.
class InternedTables {
 public:
  static Result<InternedTables> Read(Sqlite& db);
  // DataLoss when a number is not there.
  Result<SpiffeId> Id(int64_t number) const;
  Result<Selectors> SelectorsOf(std::string_view stored) const;

 private:
  std::unordered_map<int64_t, SpiffeId> ids_;
  std::unordered_map<int64_t, Selector> selectors_;
};

// An ID as the file has it: DataLoss when it is none.
Result<SpiffeId> StoredId(std::string_view text);
// What a row must hold and does not.
Status BrokenRow(std::string_view what);

}  // namespace writ
