// SPDX-License-Identifier: Apache-2.0
//
// What a write costs, counted in instructions of SQLite's machine, which no load of the computer
// changes: the store's size must not show in it.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <atomic>

#include "server/store/store.h"
#include "test/support/paths.h"

namespace writ {
namespace {

// Counts the instructions of every connection that is opened while it lives.
class Instructions {
 public:
  Instructions() { sqlite3_auto_extension(reinterpret_cast<void (*)()>(Attach)); }
  ~Instructions() { sqlite3_cancel_auto_extension(reinterpret_cast<void (*)()>(Attach)); }

  // Since the last call.
  static int64_t Taken() { return count_.exchange(0); }

 private:
  static int Attach(sqlite3* db, const char**, const sqlite3_api_routines*) {
    sqlite3_progress_handler(db, 1, Count, nullptr);
    return SQLITE_OK;
  }
  static int Count(void*) {
    ++count_;
    return 0;
  }

  static inline std::atomic<int64_t> count_ = 0;
};

class SqliteWorkTest : public testing::Test {
 protected:
  Entry NewEntry() {
    const std::string number = std::to_string(++made_);
    return Entry{.spiffe_id = *SpiffeId::Parse("spiffe://example.org/w/" + number),
                 .parent_id = *SpiffeId::Parse("spiffe://example.org/node"),
                 .selectors = {{"unix", "uid:" + number}, {"unix", "gid:1"}}};
  }
  void Create(size_t count) {
    std::vector<Entry> entries;
    while (entries.size() < count) entries.push_back(NewEntry());
    auto outcomes = store_->entries().Create(std::move(entries), FromUnixSeconds(1),
                                             [this] { return "e" + std::to_string(++ids_); });
    ASSERT_TRUE(outcomes.ok()) << outcomes.status().ToString();
    for (const EntryOutcome& outcome : *outcomes) ASSERT_TRUE(outcome.status.ok());
  }
  int64_t WorkOfOne() {
    Instructions::Taken();
    Create(1);
    return Instructions::Taken();
  }

  TempDir directory_;
  Instructions instructions_;
  std::unique_ptr<Store> store_ = OpenSqliteStore({.path = directory_ / "store.sqlite"}).value();
  int made_ = 0;
  int ids_ = 0;
};

TEST_F(SqliteWorkTest, EntryCostsTheSameHoweverManyItsParentHas) {
  Create(10);
  const int64_t first = WorkOfOne();
  ASSERT_GT(first, 0);
  while (made_ < 24'999) Create(std::min(1000, 24'999 - made_));
  const int64_t last = WorkOfOne();
  EXPECT_EQ(made_, 25'000);
  EXPECT_LE(last, first + first / 10);
}

}  // namespace
}  // namespace writ
