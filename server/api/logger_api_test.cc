// SPDX-License-Identifier: Apache-2.0
#include "server/api/logger_api.h"

#include <gtest/gtest.h>

#include "test/fake/fake_log.h"

namespace writ {
namespace {

namespace types = spire::api::types;

class LoggerApiTest : public ::testing::Test {
 protected:
  Result<types::Logger> Set(types::LogLevel level) {
    logger_pb::SetLogLevelRequest request;
    request.set_new_level(level);
    return api_.SetLogLevel(call_, request);
  }

  FakeLog log_;
  LoggerApi api_{&log_};
  Call call_{.caller = {.local = true, .actor = "unix:uid:0"}};
};

TEST_F(LoggerApiTest, LevelIsSetAtOnceRecordedAndReset) {
  EXPECT_EQ(api_.GetLogger(call_, {})->current_level(), types::INFO);
  EXPECT_TRUE(call_.events.empty());
  Result<types::Logger> set = Set(types::DEBUG);
  ASSERT_TRUE(set.ok());
  EXPECT_EQ(set->current_level(), types::DEBUG);
  EXPECT_EQ(set->launch_level(), types::INFO);
  EXPECT_EQ(log_.Level(), LogLevel::kDebug);
  ASSERT_EQ(call_.events.size(), 1u);
  EXPECT_EQ(call_.events[0].subject, "DEBUG");
  EXPECT_EQ(api_.GetLogger(call_, {})->current_level(), types::DEBUG);
  EXPECT_EQ(api_.ResetLogLevel(call_, {})->current_level(), types::INFO);
  EXPECT_EQ(log_.Level(), LogLevel::kInfo);
}

TEST_F(LoggerApiTest, LevelsThatOnlySpireHasAreTheNearest) {
  EXPECT_EQ(Set(types::PANIC)->current_level(), types::ERROR);
  EXPECT_EQ(Set(types::FATAL)->current_level(), types::ERROR);
  EXPECT_EQ(Set(types::TRACE)->current_level(), types::DEBUG);
  EXPECT_EQ(Set(types::WARN)->current_level(), types::WARN);
}

TEST_F(LoggerApiTest, WhatIsNoLevelIsRefusedAndChangesNothing) {
  EXPECT_EQ(Set(types::UNSPECIFIED).code(), Code::kInvalidArgument);
  EXPECT_EQ(Set(static_cast<types::LogLevel>(42)).code(), Code::kInvalidArgument);
  EXPECT_EQ(log_.Level(), LogLevel::kInfo);
  EXPECT_TRUE(call_.events.empty());
}

}  // namespace
}  // namespace writ
