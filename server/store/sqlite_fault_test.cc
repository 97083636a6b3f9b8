// SPDX-License-Identifier: Apache-2.0
//
// The store on a disk that fails: SQLite's file system layer, wrapped so that its writes and syncs
// fail when a test says so.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <atomic>
#include <map>

#include "core/base/thread.h"
#include "server/store/store.h"
#include "test/support/paths.h"

namespace writ {
namespace {

// After `operations` more writes and syncs every one answers `code`, while `code` is not 0.
struct Disk {
  std::atomic<int> code = 0;
  std::atomic<int> operations = 0;

  int Fault() { return code != 0 && operations-- <= 0 ? code.load() : SQLITE_OK; }
  void FailAfter(int count, int with) {
    operations = count;
    code = with;
  }
  void Heal() { code = 0; }
};
Disk disk;

// A file's methods with two replaced. `methods` comes first: a file that has ours leads to `real`.
struct Methods {
  sqlite3_io_methods methods;
  const sqlite3_io_methods* real;
};
Mutex patched_mu;
std::map<const sqlite3_io_methods*, Methods> patched GUARDED_BY(patched_mu);  // by `real`
sqlite3_vfs faulty;
sqlite3_vfs* real_vfs = nullptr;

const sqlite3_io_methods* RealMethods(sqlite3_file* file) {
  return reinterpret_cast<const Methods*>(file->pMethods)->real;
}

int Write(sqlite3_file* file, const void* data, int size, sqlite3_int64 at) {
  if (int code = disk.Fault()) return code;
  return RealMethods(file)->xWrite(file, data, size, at);
}

int Sync(sqlite3_file* file, int flags) {
  if (int code = disk.Fault()) return code == SQLITE_FULL ? SQLITE_IOERR_FSYNC : code;
  return RealMethods(file)->xSync(file, flags);
}

int Open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* flags_out) {
  int code = real_vfs->xOpen(real_vfs, name, file, flags, flags_out);
  if (code != SQLITE_OK || !file->pMethods) return code;
  MutexLock lock(patched_mu);
  auto [it, added] = patched.try_emplace(file->pMethods, Methods{*file->pMethods, file->pMethods});
  if (added) {
    it->second.methods.xWrite = Write;
    it->second.methods.xSync = Sync;
  }
  file->pMethods = &it->second.methods;
  return SQLITE_OK;
}

class SqliteFaultTest : public testing::Test {
 protected:
  void SetUp() override {
    real_vfs = sqlite3_vfs_find(nullptr);
    faulty = *real_vfs;
    faulty.zName = "faulty";
    faulty.xOpen = Open;
    ASSERT_EQ(sqlite3_vfs_register(&faulty, 1), SQLITE_OK);
    store_ = OpenSqliteStore({.path = directory_ / "store.sqlite"}).value();
  }
  void TearDown() override {
    disk.Heal();
    store_.reset();
    sqlite3_vfs_unregister(&faulty);
  }

  Status Create(const std::string& id) {
    Entry entry{.id = id,
                .spiffe_id = *SpiffeId::Parse("spiffe://example.org/" + id),
                .parent_id = *SpiffeId::Parse("spiffe://example.org/node"),
                .selectors = {{"id", id}}};
    auto outcomes = store_->entries().Create({entry}, FromUnixSeconds(1), nullptr);
    return outcomes.ok() ? outcomes->at(0).status : outcomes.status();
  }

  TempDir directory_;
  std::unique_ptr<Store> store_;
};

TEST_F(SqliteFaultTest, FullDiskIsUnavailableAndPasses) {
  ASSERT_TRUE(Create("before").ok());
  disk.FailAfter(0, SQLITE_FULL);
  Status refused = Create("during");
  EXPECT_EQ(refused.code(), Code::kUnavailable);
  EXPECT_NE(refused.message().find("free space"), std::string::npos) << refused.message();
  EXPECT_TRUE(store_->entries().Get("before").ok());  // reads go on
  disk.Heal();
  EXPECT_TRUE(Create("after").ok());
  EXPECT_EQ(store_->entries().Get("during").code(), Code::kNotFound);
  EXPECT_EQ(store_->changes().Since(0, 10)->size(), 2u);
}

TEST_F(SqliteFaultTest, EachKindOfFaultSaysWhatToDo) {
  const std::pair<int, const char*> faults[] = {
      {SQLITE_IOERR_WRITE, "check its disk"},
      {SQLITE_READONLY, "writable for the server's user"},
      {SQLITE_CORRUPT, "put a backup in its place"},
  };
  for (const auto& [code, advice] : faults) {
    disk.FailAfter(0, code);
    Status refused = Create("during");
    EXPECT_EQ(refused.code(), code == SQLITE_CORRUPT ? Code::kDataLoss : Code::kUnavailable);
    EXPECT_NE(refused.message().find(advice), std::string::npos) << refused.message();
    EXPECT_NE(refused.message().find("store.sqlite"), std::string::npos);
    disk.Heal();
  }
  EXPECT_TRUE(Create("after").ok());
}

TEST_F(SqliteFaultTest, WriteThatFailsAtAnyPointChangedNothing) {
  for (int at = 0; at < 12; ++at) {
    const std::string id = "at-" + std::to_string(at);
    disk.FailAfter(at, at % 2 == 0 ? SQLITE_FULL : SQLITE_IOERR_FSYNC);
    Status answer = Create(id);
    disk.Heal();
    EXPECT_EQ(store_->entries().Get(id).ok(), answer.ok()) << answer.ToString();
    ASSERT_TRUE(Create("healed-" + std::to_string(at)).ok());
  }
  EXPECT_TRUE(store_->Check(true).ok());
}

TEST_F(SqliteFaultTest, WritersThatShareACommitFailTogether) {
  constexpr int kThreads = 6;
  disk.FailAfter(30, SQLITE_FULL);
  std::vector<std::vector<Status>> answers(kThreads);
  {
    std::vector<Thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back("write", [&, t](std::stop_token) {
        for (int i = 0; i < 20; ++i) {
          answers[static_cast<size_t>(t)].push_back(
              Create(std::to_string(t) + "." + std::to_string(i)));
        }
      });
    }
  }
  disk.Heal();
  int failed = 0;
  for (int t = 0; t < kThreads; ++t) {
    for (int i = 0; i < 20; ++i) {
      const Status& answer = answers[static_cast<size_t>(t)][static_cast<size_t>(i)];
      failed += answer.ok() ? 0 : 1;
      const std::string id = std::to_string(t) + "." + std::to_string(i);
      EXPECT_EQ(store_->entries().Get(id).ok(), answer.ok()) << id;
    }
  }
  EXPECT_GT(failed, 0);
}

}  // namespace
}  // namespace writ
