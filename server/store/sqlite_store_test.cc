// SPDX-License-Identifier: Apache-2.0
//
// What the SQLite store does beyond the common suite: its file, its limits, its repair.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/base/mutex.h"
#include "core/base/thread.h"
#include "server/store/sqlite.h"
#include "server/store/sqlite_database.h"
#include "server/store/store.h"
#include "test/fake/fake_clock.h"
#include "test/support/paths.h"

namespace writ {
namespace {

Entry EntryFor(std::string id) {
  return Entry{.id = id,
               .spiffe_id = *SpiffeId::Parse("spiffe://example.org/" + id),
               .parent_id = *SpiffeId::Parse("spiffe://example.org/node"),
               .selectors = {{"unix", "uid:" + id}, {"unix", "gid:1"}}};
}

class SqliteStoreTest : public testing::Test {
 protected:
  Result<std::unique_ptr<Store>> Open() { return OpenSqliteStore({.path = path_}); }
  static Status Create(Store& store, const std::string& id) {
    auto outcomes = store.entries().Create({EntryFor(id)}, FromUnixSeconds(1), nullptr);
    return outcomes.ok() ? outcomes->at(0).status : outcomes.status();
  }
  static size_t Count(Store& store) {
    size_t count = 0;
    uint64_t sequence = 0;
    EXPECT_TRUE(store.entries().ForEach(&sequence, [&](Entry) { ++count; }).ok());
    return count;
  }
  // Runs SQL on the file behind the store's back.
  void RunSql(const std::string& sql) {
    auto db = Sqlite::Open(path_, Sqlite::Access::kCreate).value();
    Status done = db->RunScript(sql);
    ASSERT_TRUE(done.ok()) << done.ToString();
  }
  int64_t NumberOf(std::string_view sql) {
    return Sqlite::Open(path_, Sqlite::Access::kRead).value()->Number(sql).value();
  }
  // Overwrites bytes in the middle of every page but the first.
  void Damage() {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    const auto size = static_cast<std::streamoff>(std::filesystem::file_size(path_));
    for (std::streamoff at = 4096; at < size; at += 4096) {
      file.seekp(at);
      file << std::string(64, '\xff');
    }
  }

  TempDir directory_;
  const std::string path_ = directory_ / "store.sqlite";
};

TEST_F(SqliteStoreTest, FilesArePrivateWhateverTheUmask) {
  std::ofstream(path_).close();
  chmod(path_.c_str(), 0666);
  mode_t old_mask = umask(0);
  std::unique_ptr<Store> store = Open().value();
  EXPECT_TRUE(Create(*store, "1").ok());
  umask(old_mask);
  for (const char* suffix : {"", "-wal", "-shm"}) {
    struct stat info;
    ASSERT_EQ(stat((path_ + suffix).c_str(), &info), 0) << suffix;
    EXPECT_EQ(info.st_mode & 0777, 0600u) << suffix;
  }
}

TEST_F(SqliteStoreTest, EverythingIsThereAfterReopening) {
  {
    std::unique_ptr<Store> store = Open().value();
    EXPECT_TRUE(Create(*store, "1").ok());
    ASSERT_TRUE(store->Close().ok());
  }
  EXPECT_FALSE(std::filesystem::exists(path_ + "-wal"));
  std::unique_ptr<Store> store = Open().value();
  EXPECT_EQ(Count(*store), 1u);
  EXPECT_EQ(*store->changes().LastSequence(), 1u);
  EXPECT_TRUE(Create(*store, "2").ok());
  EXPECT_EQ(*store->changes().LastSequence(), 2u);
}

TEST_F(SqliteStoreTest, InternedRowsGoWithTheirLastUse) {
  std::unique_ptr<Store> store = Open().value();
  EXPECT_TRUE(Create(*store, "1").ok());
  EXPECT_TRUE(Create(*store, "2").ok());
  EXPECT_EQ(Create(*store, "2").code(), Code::kAlreadyExists);
  EXPECT_EQ(NumberOf("SELECT count(*) FROM ids"), 3);
  EXPECT_EQ(NumberOf("SELECT count(*) FROM selectors"), 3);
  auto edited = store->entries().Edit({{"1", [](const Entry& stored) -> Result<Entry> {
                                          Entry entry = stored;
                                          entry.selectors = {{"new", "one"}};
                                          return entry;
                                        }}});
  EXPECT_TRUE(edited->at(0).status.ok());
  EXPECT_EQ(NumberOf("SELECT count(*) FROM selectors"), 3);
  Agent agent{.id = EntryFor("agent").spiffe_id, .selectors = {{"node", "x"}}};
  ASSERT_TRUE(store->agents().CommitAttestation(agent, "", FromUnixSeconds(1)).ok());
  agent.selectors = {{"node", "y"}};
  ASSERT_TRUE(store->agents().CommitAttestation(agent, "", FromUnixSeconds(1)).ok());
  ASSERT_TRUE(store->agents().Delete(agent.id.text()).ok());
  ASSERT_TRUE(store->entries().Delete(std::vector<std::string>{"1", "2"}).ok());
  EXPECT_EQ(NumberOf("SELECT count(*) FROM ids"), 0);
  EXPECT_EQ(NumberOf("SELECT count(*) FROM selectors"), 0);
  EXPECT_TRUE(store->Check(true).ok());
}

TEST_F(SqliteStoreTest, OldChangesAreDroppedOneByOne) {
  ASSERT_TRUE(Open().value()->Close().ok());
  RunSql(
      "INSERT INTO changes (sequence, kind, id) "
      "VALUES (1, 1, 'a'), (2, 1, 'b'), (100000, 1, 'c')");
  std::unique_ptr<Store> store = Open().value();
  EXPECT_EQ(store->changes().Since(0, 1)->at(0).id, "a");
  EXPECT_TRUE(Create(*store, "1").ok());
  EXPECT_EQ(*store->changes().LastSequence(), kChangesKeptMax + 1);
  EXPECT_EQ(store->changes().Since(0, 1).code(), Code::kOutOfRange);
  EXPECT_EQ(store->changes().Since(1, 1)->at(0).id, "b");
}

TEST_F(SqliteStoreTest, FileThatIsNoDatabaseIsDataLossWithAdvice) {
  std::ofstream(path_) << std::string(8192, 'x');
  Status refused = Open().status();
  EXPECT_EQ(refused.code(), Code::kDataLoss);
  EXPECT_NE(refused.message().find(path_), std::string::npos);
  EXPECT_NE(refused.message().find("put a backup in its place"), std::string::npos);
}

TEST_F(SqliteStoreTest, DamageIsFoundWhenTheStoreWasNotClosed) {
  {
    std::unique_ptr<Store> store = Open().value();
    for (int i = 0; i < 300; ++i) ASSERT_TRUE(Create(*store, std::to_string(i)).ok());
    ASSERT_TRUE(store->Close().ok());
    EXPECT_TRUE(CheckSqliteStore(path_).ok());
  }
  RunSql("UPDATE meta SET value = 0; PRAGMA wal_checkpoint(TRUNCATE)");
  Damage();
  Status refused = Open().status();
  EXPECT_EQ(refused.code(), Code::kDataLoss) << refused.ToString();
  EXPECT_NE(refused.message().find("put a backup in its place"), std::string::npos);
  EXPECT_EQ(CheckSqliteStore(path_).code(), Code::kDataLoss);
}

TEST_F(SqliteStoreTest, DeepCheckFindsRowsThatReferToNothing) {
  std::unique_ptr<Store> store = Open().value();
  ASSERT_TRUE(Create(*store, "1").ok());
  EXPECT_TRUE(store->Check(true).ok());
  RunSql("PRAGMA foreign_keys = OFF; DELETE FROM ids WHERE text LIKE '%node'");
  EXPECT_EQ(store->Check(true).code(), Code::kDataLoss);
}

TEST_F(SqliteStoreTest, BrokenRowsAreDataLoss) {
  std::unique_ptr<Store> store = Open().value();
  ASSERT_TRUE(Create(*store, "1").ok());
  ASSERT_TRUE(Create(*store, "2").ok());
  RunSql("UPDATE entries SET selectors = x'0000ffff' WHERE entry_id = '1'");
  RunSql("UPDATE ids SET text = 'spiffe://EXAMPLE.org/2' WHERE text LIKE '%/2'");
  EXPECT_EQ(store->entries().Get("1").code(), Code::kDataLoss);
  EXPECT_EQ(store->entries().Get("2").code(), Code::kDataLoss);
  uint64_t sequence = 0;
  EXPECT_EQ(store->entries().ForEach(&sequence, [](Entry) {}).code(), Code::kDataLoss);
}

TEST_F(SqliteStoreTest, MissingFileIsNotFoundByTheCheckAndNotMade) {
  EXPECT_EQ(CheckSqliteStore(path_).code(), Code::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(SqliteStoreTest, MissingDirectoryIsNamed) {
  Status refused = OpenSqliteStore({.path = directory_ / "no/store.sqlite"}).status();
  EXPECT_EQ(refused.code(), Code::kUnavailable);
  EXPECT_NE(refused.message().find("no/store.sqlite"), std::string::npos);
}

TEST_F(SqliteStoreTest, ReadsAreRefusedOnceClosed) {
  std::unique_ptr<Store> store = Open().value();
  ASSERT_TRUE(store->Close().ok());
  EXPECT_EQ(store->entries().Get("1").code(), Code::kUnavailable);
  EXPECT_EQ(store->Check(false).code(), Code::kUnavailable);
}

}  // namespace
}  // namespace writ
