// SPDX-License-Identifier: Apache-2.0
//
// The store on a disk that fails.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "core/base/thread.h"
#include "server/store/faulty_disk_fixture.h"
#include "server/store/store.h"
#include "test/support/paths.h"

namespace writ {
namespace {

class SqliteFaultTest : public testing::Test {
 protected:
  ~SqliteFaultTest() override { disk_.Heal(); }

  Status Create(const std::string& id) {
    Entry entry{.id = id,
                .spiffe_id = *SpiffeId::Parse("spiffe://example.org/" + id),
                .parent_id = *SpiffeId::Parse("spiffe://example.org/node"),
                .selectors = {{"id", id}}};
    auto outcomes = store_->entries().Create({entry}, FromUnixSeconds(1), nullptr);
    return outcomes.ok() ? outcomes->at(0).status : outcomes.status();
  }

  TempDir directory_;
  FaultyDisk disk_;
  std::unique_ptr<Store> store_ =
      OpenSqliteStore({.path = directory_ / "store.sqlite"}).value();
};

TEST_F(SqliteFaultTest, FullDiskIsUnavailableAndPasses) {
  ASSERT_TRUE(Create("before").ok());
  disk_.FailAfter(0, SQLITE_FULL);
  Status refused = Create("during");
  EXPECT_EQ(refused.code(), Code::kUnavailable);
  EXPECT_NE(refused.message().find("free space"), std::string::npos) << refused.message();
  EXPECT_TRUE(store_->entries().Get("before").ok());  // reads go on
  disk_.Heal();
  EXPECT_TRUE(Create("after").ok());
  EXPECT_EQ(store_->entries().Get("during").code(), Code::kNotFound);
  EXPECT_EQ(store_->changes().Since(0, 10)->size(), 2u);
}

TEST_F(SqliteFaultTest, TheCheckTellsThatWritesFailUntilTheyDoNot) {
  ASSERT_TRUE(Create("before").ok());
  disk_.FailAfter(0, SQLITE_FULL);
  EXPECT_TRUE(store_->Check(false).ok());  // nothing has failed yet
  EXPECT_FALSE(Create("during").ok());
  EXPECT_EQ(store_->Check(false).code(), Code::kUnavailable);
  EXPECT_EQ(store_->Check(false).code(), Code::kUnavailable);
  disk_.Heal();
  EXPECT_TRUE(store_->Check(false).ok());
  EXPECT_EQ(store_->changes().Since(0, 10)->size(), 1u);  // it changed nothing
  EXPECT_EQ(Create("before").code(), Code::kAlreadyExists);
  EXPECT_TRUE(store_->Check(false).ok());
  disk_.FailAfter(0, SQLITE_FULL);
  EXPECT_FALSE(Create("during").ok());
  disk_.Heal();
  ASSERT_TRUE(Create("after").ok());
  EXPECT_EQ(store_->Check(false).code(), Code::kUnavailable);  // told, though it has passed
  EXPECT_TRUE(store_->Check(false).ok());
}

TEST_F(SqliteFaultTest, EachKindOfFaultSaysWhatToDo) {
  const std::pair<int, const char*> faults[] = {
      {SQLITE_IOERR_WRITE, "check its disk"},
      {SQLITE_READONLY, "writable for the server's user"},
      {SQLITE_CORRUPT, "put a backup in its place"},
  };
  for (const auto& [code, advice] : faults) {
    disk_.FailAfter(0, code);
    Status refused = Create("during");
    EXPECT_EQ(refused.code(), code == SQLITE_CORRUPT ? Code::kDataLoss : Code::kUnavailable);
    EXPECT_NE(refused.message().find(advice), std::string::npos) << refused.message();
    EXPECT_NE(refused.message().find("store.sqlite"), std::string::npos);
    disk_.Heal();
  }
  EXPECT_TRUE(Create("after").ok());
}

TEST_F(SqliteFaultTest, WriteThatFailsAtAnyPointChangedNothing) {
  for (int at = 0; at < 12; ++at) {
    const std::string id = "at-" + std::to_string(at);
    disk_.FailAfter(at, at % 2 == 0 ? SQLITE_FULL : SQLITE_IOERR_FSYNC);
    Status answer = Create(id);
    disk_.Heal();
    EXPECT_EQ(store_->entries().Get(id).ok(), answer.ok()) << answer.ToString();
    ASSERT_TRUE(Create("healed-" + std::to_string(at)).ok());
  }
  EXPECT_TRUE(store_->Check(true).ok());
}

TEST_F(SqliteFaultTest, WritersThatShareACommitFailTogether) {
  constexpr int kThreads = 6;
  disk_.FailAfter(30, SQLITE_FULL);
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
  disk_.Heal();
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
