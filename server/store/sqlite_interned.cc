// SPDX-License-Identifier: Apache-2.0
#include "server/store/sqlite_interned.h"

#include <algorithm>
#include <vector>

#include "core/base/bytes.h"

namespace writ {
namespace {

constexpr size_t kNumberBytes = 4;
constexpr int64_t kNumberMax = 0xffffffff;

void AppendNumber(std::string& stored, int64_t number) {
  for (int shift = 24; shift >= 0; shift -= 8) stored += static_cast<char>(number >> shift);
}

int64_t NumberAt(std::string_view stored, size_t at) {
  int64_t number = 0;
  for (size_t i = 0; i < kNumberBytes; ++i) {
    number = number << 8 | static_cast<unsigned char>(stored[at + i]);
  }
  return number;
}

Status LacksSelector() { return BrokenRow("a set of selectors with a member that is gone"); }

Status CheckStored(std::string_view stored) {
  if (stored.size() % kNumberBytes == 0) return OkStatus();
  return BrokenRow("a broken set of selectors");
}

Result<int64_t> AcquireSelector(Sqlite& db, const Selector& selector) {
  int64_t number =
      TRY(db.Number("INSERT INTO selectors (type, value, uses) VALUES (?, ?, 1) "
                    "ON CONFLICT (type, value) DO UPDATE SET uses = uses + 1 RETURNING id",
                    selector.type, selector.value));
  if (number > kNumberMax) {
    return ResourceExhausted("the store's numbers for selectors are used up");
  }
  return number;
}

// By the last row's number, which costs nothing to ask for; a guess, and bounded as one.
Result<size_t> ExpectedRows(Sqlite& db, const char* max_of_ids) {
  constexpr int64_t kGuessMax = 1'000'000;
  Statement row = TRY(db.Query(max_of_ids));
  if (!TRY(row.Step())) return size_t{0};
  return static_cast<size_t>(std::clamp<int64_t>(row.Int(0), 0, kGuessMax));
}

}  // namespace

Status BrokenRow(std::string_view what) {
  return DataLoss("the store holds " + std::string(what) +
                  ": stop the server and put a backup in its place with `writ-server "
                  "restore`");
}

Result<SpiffeId> StoredId(std::string_view text) {
  Result<SpiffeId> id = SpiffeId::Parse(text);
  if (!id.ok()) return BrokenRow("a broken SPIFFE ID (" + Printable(text) + ")");
  return id;
}

Result<int64_t> AcquireId(Sqlite& db, const SpiffeId& id) {
  return db.Number(
      "INSERT INTO ids (text, uses) VALUES (?, 1) "
      "ON CONFLICT (text) DO UPDATE SET uses = uses + 1 RETURNING id",
      id.text());
}

Status ReleaseId(Sqlite& db, int64_t number) {
  TRY(db.Run("UPDATE ids SET uses = uses - 1 WHERE id = ?", number));
  return db.Run("DELETE FROM ids WHERE id = ? AND uses <= 0", number);
}

Result<int64_t> FindId(Sqlite& db, std::string_view text) {
  return db.Number("SELECT id FROM ids WHERE text = ?", text);
}

Result<std::string> AcquireSelectors(Sqlite& db, const Selectors& selectors) {
  std::vector<int64_t> numbers;
  for (const Selector& selector : selectors) numbers.push_back(TRY(AcquireSelector(db, selector)));
  std::ranges::sort(numbers);
  std::string stored;
  for (int64_t number : numbers) AppendNumber(stored, number);
  return stored;
}

std::string StoredSelector(int64_t number) {
  std::string stored;
  AppendNumber(stored, number);
  return stored;
}

Status ReleaseSelectors(Sqlite& db, std::string_view stored) {
  for (size_t at = 0; at + kNumberBytes <= stored.size(); at += kNumberBytes) {
    TRY(db.Run("UPDATE selectors SET uses = uses - 1 WHERE id = ?", NumberAt(stored, at)));
    TRY(db.Run("DELETE FROM selectors WHERE id = ? AND uses <= 0", NumberAt(stored, at)));
  }
  return OkStatus();
}

Result<Selectors> ReadSelectors(Sqlite& db, std::string_view stored) {
  TRY(CheckStored(stored));
  std::vector<Selector> selectors;
  for (size_t at = 0; at < stored.size(); at += kNumberBytes) {
    Statement row =
        TRY(db.Query("SELECT type, value FROM selectors WHERE id = ?", NumberAt(stored, at)));
    if (!TRY(row.Step())) return LacksSelector();
    selectors.push_back({row.Text(0), row.Text(1)});
  }
  return Selectors(std::move(selectors));
}

Result<InternedTables> InternedTables::Read(Sqlite& db) {
  InternedTables tables;
  tables.ids_.reserve(TRY(ExpectedRows(db, "SELECT max(id) FROM ids")));
  tables.selectors_.reserve(TRY(ExpectedRows(db, "SELECT max(id) FROM selectors")));
  Statement ids = TRY(db.Query("SELECT id, text FROM ids"));
  while (TRY(ids.Step())) tables.ids_.emplace(ids.Int(0), TRY(StoredId(ids.Bytes(1))));
  Statement selectors = TRY(db.Query("SELECT id, type, value FROM selectors"));
  while (TRY(selectors.Step())) {
    tables.selectors_.emplace(selectors.Int(0), Selector{selectors.Text(1), selectors.Text(2)});
  }
  return tables;
}

Result<SpiffeId> InternedTables::Id(int64_t number) const {
  auto at = ids_.find(number);
  if (at == ids_.end()) return BrokenRow("a reference to a SPIFFE ID that is gone");
  return at->second;
}

Result<Selectors> InternedTables::SelectorsOf(std::string_view stored) const {
  TRY(CheckStored(stored));
  std::vector<Selector> selectors;
  selectors.reserve(stored.size() / kNumberBytes);
  for (size_t at = 0; at < stored.size(); at += kNumberBytes) {
    auto found = selectors_.find(NumberAt(stored, at));
    if (found == selectors_.end()) return LacksSelector();
    selectors.push_back(found->second);
  }
  return Selectors(std::move(selectors));
}

}  // namespace writ
