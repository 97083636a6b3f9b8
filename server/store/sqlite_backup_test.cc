// SPDX-License-Identifier: Apache-2.0
//
// Backup while writes go on, and restore: whole or not at all, and noticed by all who follow.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <set>

#include "core/base/file.h"
#include "core/base/mutex.h"
#include "core/base/thread.h"
#include "server/store/sqlite.h"
#include "server/store/store.h"
#include "test/support/paths.h"

namespace writ {
namespace {

const Time kRestoredAt = FromUnixSeconds(1'800'000'000);

Entry EntryFor(const std::string& id) {
  return Entry{.id = id,
               .spiffe_id = *SpiffeId::Parse("spiffe://example.org/" + id),
               .parent_id = *SpiffeId::Parse("spiffe://example.org/node"),
               .selectors = {{"unix", "uid:" + id}}};
}

class SqliteBackupTest : public testing::Test {
 protected:
  std::unique_ptr<Store> Open(const std::string& path) {
    return OpenSqliteStore({.path = path}).value();
  }
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
  Result<BackupContents> Restore(Time now = kRestoredAt) {
    return RestoreSqliteStore(backup_, path_, now, [](Store&) { return OkStatus(); });
  }
  std::vector<std::string> Files() { return ListDirectory(directory_.path()).value(); }

  TempDir directory_;
  const std::string path_ = directory_ / "store.sqlite";
  const std::string backup_ = directory_ / "backup.sqlite";
};

TEST_F(SqliteBackupTest, BackupIsWholePrivateAndTakenWhileWritesGoOn) {
  std::unique_ptr<Store> store = Open(path_);
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(Create(*store, std::to_string(i)).ok());
  std::ofstream(backup_) << "what was there before";
  size_t written = 300;
  Result<BackupContents> made = BackupContents{};
  {
    bool copied = false;
    Mutex mu;
    Thread writer("write", [&](std::stop_token) {
      while (true) {
        MutexLock lock(mu);
        if (copied) return;
        ASSERT_TRUE(Create(*store, std::to_string(written++)).ok());
      }
    });
    made = BackUpSqliteStore(path_, backup_);
    MutexLock lock(mu);
    copied = true;
  }
  ASSERT_TRUE(made.ok()) << made.status().ToString();
  EXPECT_EQ(Count(*store), written);
  struct stat info;
  ASSERT_EQ(stat(backup_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_TRUE(CheckSqliteStore(backup_).ok());
  std::unique_ptr<Store> copy = Open(backup_);
  EXPECT_EQ(Count(*copy), static_cast<size_t>(made->entries));
  EXPECT_GE(made->entries, 300);
  EXPECT_LE(Count(*copy), written);
}

TEST_F(SqliteBackupTest, BackupIsOneFileThatCanBeReadWhereNothingCanBeWritten) {
  ASSERT_TRUE(Open(path_)->Close().ok());
  ASSERT_TRUE(BackUpSqliteStore(path_, backup_).ok());
  EXPECT_EQ(Files(), (std::vector<std::string>{"backup.sqlite", "store.sqlite"}));
  ASSERT_EQ(chmod(backup_.c_str(), 0400), 0);
  EXPECT_TRUE(Restore().ok());
}

TEST_F(SqliteBackupTest, BackupThatFailsLeavesNothing) {
  std::unique_ptr<Store> store = Open(path_);
  EXPECT_EQ(BackUpSqliteStore(path_, directory_ / "no/such/copy").code(), Code::kUnavailable);
  EXPECT_EQ(BackUpSqliteStore(path_, path_).code(), Code::kInvalidArgument);
  EXPECT_EQ(BackUpSqliteStore(directory_ / "none", backup_).code(), Code::kNotFound);
  std::ofstream(directory_ / "text") << std::string(8192, 'x');
  EXPECT_EQ(BackUpSqliteStore(directory_ / "text", backup_).code(), Code::kDataLoss);
  EXPECT_FALSE(std::filesystem::exists(backup_));
  EXPECT_FALSE(std::filesystem::exists(backup_ + ".partial"));
  EXPECT_TRUE(Create(*store, "1").ok());
}

TEST_F(SqliteBackupTest, RestoredStoreIsTheOneOfTheBackupAndTheOtherIsSetAside) {
  std::unique_ptr<Store> store = Open(path_);
  ASSERT_TRUE(Create(*store, "kept").ok());
  ASSERT_TRUE(BackUpSqliteStore(path_, backup_).ok());
  ASSERT_TRUE(Create(*store, "later").ok());
  store.reset();  // without Close(): its last commits are in its write-ahead log
  Result<BackupContents> restored = Restore();
  ASSERT_TRUE(restored.ok()) << restored.status().ToString();
  EXPECT_EQ(restored->entries, 1);
  store = Open(path_);
  EXPECT_TRUE(store->entries().Get("kept").ok());
  EXPECT_EQ(store->entries().Get("later").code(), Code::kNotFound);
  EXPECT_TRUE(store->Check(true).ok());
  EXPECT_TRUE(Open(restored->set_aside)->entries().Get("later").ok());
}

// A follower that knew the lost store must never take what comes after the restore for what it has.
TEST_F(SqliteBackupTest, NumbersGoOnAboveAllThatTheLostStoreGaveOut) {
  const TrustDomain td = *TrustDomain::Parse("example.org");
  auto hint = [&](Store& store, int64_t seconds) {
    return store.bundles().Edit(td, [&](Bundle& bundle) {
      bundle.refresh_hint_seconds = seconds;
      return OkStatus();
    });
  };
  std::unique_ptr<Store> store = Open(path_);
  ASSERT_TRUE(Create(*store, "1").ok());
  ASSERT_TRUE(hint(*store, 1).ok());
  ASSERT_TRUE(BackUpSqliteStore(path_, backup_).ok());
  int64_t revision = 0;
  uint64_t last = 0;
  uint64_t bundle = 0;
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 5; ++i) {
      auto outcomes = store->entries().Edit({{"1", [](const Entry& e) -> Result<Entry> {
                                                Entry edited = e;
                                                edited.hint += "x";
                                                return edited;
                                              }}});
      const int64_t got = outcomes.value().at(0).entry->revision;
      EXPECT_GT(got, revision);
      revision = got;
      const uint64_t sequence = hint(*store, 10 + i)->sequence_number;
      EXPECT_GT(sequence, bundle);
      bundle = sequence;
    }
    last = store->changes().LastSequence().value();
    store.reset();
    ASSERT_TRUE(Restore(kRestoredAt + std::chrono::minutes(round)).ok());
    store = Open(path_);
    EXPECT_EQ(store->changes().Since(last, 10).code(), Code::kOutOfRange);
    EXPECT_EQ(store->changes().Since(0, 10).code(), Code::kOutOfRange);
    EXPECT_GT(store->changes().LastSequence().value(), last);
  }
}

TEST_F(SqliteBackupTest, JoinTokensAreNotRestoredAndAgentsAre) {
  std::unique_ptr<Store> store = Open(path_);
  ASSERT_TRUE(store->agents().CreateToken({"secret", 2'000'000'000}, EntryFor("alias")).ok());
  Agent agent{.id = *SpiffeId::Parse("spiffe://example.org/spire/agent/x"), .serial = "7"};
  ASSERT_TRUE(store->agents().CommitAttestation(agent, "", FromUnixSeconds(1)).ok());
  ASSERT_TRUE(BackUpSqliteStore(path_, backup_).ok());
  store.reset();
  EXPECT_EQ(Restore()->agents, 1);
  store = Open(path_);
  EXPECT_EQ(store->agents().GetToken("secret").code(), Code::kNotFound);
  EXPECT_EQ(store->entries().Get("alias").code(), Code::kNotFound);
  EXPECT_EQ(store->agents().Get(agent.id.text())->serial, "7");
}

TEST_F(SqliteBackupTest, RestoreThatFailsChangesNothing) {
  std::unique_ptr<Store> store = Open(path_);
  ASSERT_TRUE(Create(*store, "1").ok());
  ASSERT_TRUE(store->Close().ok());
  EXPECT_EQ(Restore().code(), Code::kNotFound);
  std::ofstream(backup_) << "";
  EXPECT_EQ(Restore().code(), Code::kFailedPrecondition);
  std::ofstream(backup_) << std::string(8192, 'x');
  Result<BackupContents> damaged = Restore();
  EXPECT_EQ(damaged.code(), Code::kDataLoss);
  EXPECT_NE(damaged.status().message().find("another backup"), std::string::npos);
  std::filesystem::remove(backup_);
  ASSERT_TRUE(BackUpSqliteStore(path_, backup_).ok());
  auto refuse = [](Store&) { return FailedPrecondition("no key"); };
  EXPECT_EQ(RestoreSqliteStore(backup_, path_, kRestoredAt, refuse).code(),
            Code::kFailedPrecondition);
  EXPECT_EQ(RestoreSqliteStore(path_, path_, kRestoredAt, refuse).code(), Code::kInvalidArgument);
  EXPECT_EQ(Files(), (std::vector<std::string>{"backup.sqlite", "store.sqlite"}));
  EXPECT_TRUE(Open(path_)->entries().Get("1").ok());
}

// Whoever can write a backup's file could else have a statement run with the server's writes.
TEST_F(SqliteBackupTest, ABackupWithAnythingThatIsNotOursIsRefused) {
  const std::array<std::string, 6> additions = {
      "CREATE TRIGGER t AFTER DELETE ON changes BEGIN DELETE FROM agents; END",
      "CREATE VIEW v AS SELECT * FROM join_tokens",
      "CREATE TABLE extra (id INTEGER)",
      "CREATE INDEX i ON entries (hint)",
      "ALTER TABLE agents ADD COLUMN extra TEXT",
      "DROP INDEX entries_by_parent"};
  ASSERT_TRUE(Open(path_)->Close().ok());
  for (const std::string& sql : additions) {
    ASSERT_TRUE(BackUpSqliteStore(path_, backup_).ok());
    ASSERT_TRUE((*Sqlite::Open(backup_, Sqlite::Access::kWrite))->RunScript(sql).ok());
    const Result<BackupContents> restored = Restore();
    EXPECT_EQ(restored.code(), Code::kFailedPrecondition) << sql;
    EXPECT_NE(restored.status().message().find("schema is not Writ's"), std::string::npos) << sql;
    EXPECT_EQ(Files(), (std::vector<std::string>{"backup.sqlite", "store.sqlite"}));
  }
}

TEST_F(SqliteBackupTest, RestoresWithinOneSecondEachSetAsideWhatWasThere) {
  std::unique_ptr<Store> store = Open(path_);
  ASSERT_TRUE(BackUpSqliteStore(path_, backup_).ok());
  std::set<std::string> asides;
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(Create(*store, std::to_string(i)).ok());
    store.reset();
    const Result<BackupContents> restored = Restore();
    ASSERT_TRUE(restored.ok()) << restored.status().ToString();
    EXPECT_TRUE(asides.insert(restored->set_aside).second);
    EXPECT_TRUE(Open(restored->set_aside)->entries().Get(std::to_string(i)).ok());
    store = Open(path_);
    EXPECT_EQ(Count(*store), 0u);
  }
}

// One says what to do, and names nothing but the backup.
TEST_F(SqliteBackupTest, ADamagedBackupIsToldInOneSentence) {
  std::unique_ptr<Store> store = Open(path_);
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(Create(*store, std::to_string(i)).ok());
  ASSERT_TRUE(BackUpSqliteStore(path_, backup_).ok());
  ASSERT_TRUE(store->Close().ok());
  std::string bytes = ReadFile(backup_, size_t{1} << 24).value();
  std::fill(bytes.begin() + 8192, bytes.end(), '\xff');
  for (const std::string& damaged : {bytes, std::string(8192, 'x')}) {
    std::ofstream(backup_) << damaged;
    const Status status = Restore().status();
    EXPECT_EQ(status.code(), Code::kDataLoss);
    EXPECT_TRUE(status.message().starts_with(backup_ + " is damaged (")) << status.message();
    EXPECT_TRUE(status.message().ends_with("): restore from another backup; nothing was changed"))
        << status.message();
    EXPECT_EQ(status.message().find("writ-server restore"), std::string::npos);
    EXPECT_EQ(status.message().find(path_), std::string::npos);
  }
}

TEST_F(SqliteBackupTest, DamagedStoreIsReplacedAndKept) {
  ASSERT_TRUE(Open(path_)->Close().ok());
  ASSERT_TRUE(BackUpSqliteStore(path_, backup_).ok());
  std::ofstream(path_) << std::string(8192, 'x');
  Result<BackupContents> restored = Restore();
  ASSERT_TRUE(restored.ok()) << restored.status().ToString();
  EXPECT_EQ(std::filesystem::file_size(restored->set_aside), 8192u);
  EXPECT_TRUE(Create(*Open(path_), "1").ok());
}

}  // namespace
}  // namespace writ
