// SPDX-License-Identifier: Apache-2.0
//
// `validate` passes nothing that a start refuses.
#include "server/state.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <string>

#include "core/base/file.h"
#include "test/fake/fake_clock.h"
#include "test/fake/fake_log.h"
#include "test/support/paths.h"

namespace writ {
namespace {

class ValidateDataTest : public testing::Test {
 protected:
  void SetUp() override {
    config_.trust_domain = *TrustDomain::Parse("example.org");
    config_.data_dir = dir_ / "data";
    config_.sqlite_path = config_.data_dir + "/writ.db";
    config_.audit_path = config_.data_dir + "/audit.jsonl";
    config_.svid.agent_ttl = std::chrono::hours(1);
    config_.listen.admin_socket = dir_ / "run/admin.sock";
    ASSERT_TRUE(WriteFileAtomic(dir_ / "file", "", 0600).ok());
  }
  Status Open() {
    return ServerState::Open(config_, {.clock = &clock_, .random = &random_, .log = &log_})
        .status();
  }
  void ExpectRefused(const std::string& setting) {
    const Status validated = ValidateData(config_, /*deep=*/false);
    EXPECT_NE(validated.message().find(setting), std::string::npos) << validated.ToString();
    EXPECT_FALSE(validated.ok()) << setting;
  }

  TempDir dir_;
  FakeClock clock_;
  SeededRandom random_{3};
  FakeLog log_;
  ServerConfig config_;
};

TEST_F(ValidateDataTest, WhatAStartWouldMakeIsNoFailureAndIsNotMade) {
  const Status validated = ValidateData(config_, /*deep=*/true);
  EXPECT_TRUE(validated.ok()) << validated.ToString();
  EXPECT_FALSE(std::filesystem::exists(config_.data_dir));
  EXPECT_FALSE(std::filesystem::exists(dir_ / "run"));
  ASSERT_TRUE(Open().ok());
  EXPECT_TRUE(ValidateData(config_, /*deep=*/true).ok());
}

TEST_F(ValidateDataTest, PlacesThatCannotBeUsedAreRefusedAsAStartDoes) {
  const ServerConfig good = config_;
  config_.data_dir = dir_ / "file";
  ExpectRefused("data_dir");
  EXPECT_FALSE(Open().ok());
  config_ = good;
  config_.sqlite_path = dir_ / "nowhere/writ.db";
  ExpectRefused("datastore.sqlite.path");
  EXPECT_FALSE(Open().ok());
  config_ = good;
  config_.audit_path = dir_ / "nowhere/audit.jsonl";
  ExpectRefused("audit.path");
  EXPECT_FALSE(Open().ok());
  config_.audit_path = dir_.path();
  ExpectRefused("audit.path");
  EXPECT_FALSE(Open().ok());
  config_ = good;
  for (const char* path : {"file", "file/admin.sock"}) {
    config_.listen.admin_socket = dir_ / path;
    ExpectRefused("listen.admin_socket");
  }
}

// A disk that is not mounted, a file that was cut: the trust domain's keys must outlive it.
TEST_F(ValidateDataTest, AStoreThatIsGoneIsNoFirstStart) {
  ASSERT_TRUE(Open().ok());
  const auto keys = [this] {
    std::set<std::string> names;
    for (const auto& file : std::filesystem::directory_iterator(config_.data_dir + "/keys")) {
      names.insert(file.path().filename().string());
    }
    return names;
  };
  const std::set<std::string> before = keys();
  EXPECT_EQ(before.size(), 2u);
  for (const bool cut : {true, false}) {
    for (const char* suffix : {"", "-wal", "-shm"}) {
      std::filesystem::remove(config_.sqlite_path + suffix);
    }
    if (cut) {
      ASSERT_TRUE(WriteFileAtomic(config_.sqlite_path, "", 0600).ok());
    }
    ExpectRefused("writ-server restore");
    const Status opened = Open();
    EXPECT_EQ(opened.code(), Code::kFailedPrecondition) << opened.ToString();
    EXPECT_EQ(keys(), before);
    EXPECT_EQ(std::filesystem::exists(config_.sqlite_path), cut);
  }
  std::filesystem::rename(config_.data_dir + "/keys", dir_ / "keys");
  EXPECT_TRUE(ValidateData(config_, /*deep=*/true).ok());
  EXPECT_TRUE(Open().ok());
}

TEST_F(ValidateDataTest, AStoreThatIsNotOursIsRefusedWithoutALookAtAllOfIt) {
  ASSERT_TRUE(MakeDirectories(config_.data_dir, 0700).ok());
  ASSERT_TRUE(WriteFileAtomic(config_.sqlite_path, std::string(8192, 'x'), 0600).ok());
  ExpectRefused("writ.db");
  EXPECT_FALSE(Open().ok());
}

}  // namespace
}  // namespace writ
