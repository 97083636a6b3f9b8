// SPDX-License-Identifier: Apache-2.0
#include "core/base/log.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/base/json.h"
#include "core/base/thread.h"

namespace writ {
namespace {

// What a piece of code writes to standard error.
template <typename Body>
std::string Captured(Body body) {
  testing::internal::CaptureStderr();
  body();
  return testing::internal::GetCapturedStderr();
}

TEST(LogTest, TextLinesCarryTimeLevelSentenceAndFields) {
  auto log = MakeStderrLog(LogLevel::kInfo, LogFormat::kText);
  std::string out = Captured([&] {
    log->Info("agent attested",
              {{"id", "spiffe://example.org/a"}, {"count", 3}, {"why", "no key"}});
    log->Warn("slow", {{"empty", ""}});
  });
  EXPECT_EQ(out.substr(10, 1), "T");
  EXPECT_EQ(out.substr(23, 2), "Z ");
  EXPECT_EQ(out.substr(25, out.find('\n') - 25),
            R"(info  agent attested id=spiffe://example.org/a count=3 why="no key")");
  EXPECT_NE(out.find("Z warn  slow empty=\"\"\n"), std::string::npos) << out;
}

TEST(LogTest, JsonLinesAreJson) {
  auto log = MakeStderrLog(LogLevel::kInfo, LogFormat::kJson);
  std::string out = Captured([&] {
    log->Error("a \"quoted\" sentence\n", {{"path", "/a\nb\xff"}, {"status", NotFound("gone")}});
  });
  ASSERT_TRUE(out.ends_with("\n"));
  Result<Json> json = Json::Parse(out);
  ASSERT_TRUE(json.ok()) << out;
  EXPECT_EQ(json->Find("time")->AsString()->size(), 24u);
  EXPECT_EQ(*json->Find("level")->AsString(), "error");
  EXPECT_EQ(*json->Find("message")->AsString(), "a \"quoted\" sentence\n");
  EXPECT_EQ(*json->Find("path")->AsString(), "/a\nb\xef\xbf\xbd");
  EXPECT_EQ(*json->Find("status")->AsString(), "NOT_FOUND: gone");
}

TEST(LogTest, ForeignValuesCannotForgeALine) {
  for (LogFormat format : {LogFormat::kText, LogFormat::kJson}) {
    auto log = MakeStderrLog(LogLevel::kInfo, format);
    std::string out = Captured([&] {
      log->Info("x\ny\x1b[2J", {{"v", "1\n2026-01-01T00:00:00.000Z error forged\x1b[0m"}});
    });
    EXPECT_EQ(std::ranges::count(out, '\n'), 1) << out;
    EXPECT_EQ(out.find('\x1b'), std::string::npos);
  }
}

TEST(LogTest, LongValuesAreCut) {
  auto log = MakeStderrLog(LogLevel::kInfo, LogFormat::kText);
  std::string out = Captured([&] { log->Info("x", {{"v", std::string(100'000, 'a')}}); });
  EXPECT_LT(out.size(), 3000u);
}

TEST(LogTest, TheLevelFiltersAndCanChangeWhileRunning) {
  auto log = MakeStderrLog(LogLevel::kWarn, LogFormat::kText);
  EXPECT_EQ(Captured([&] { log->Info("hidden"); }), "");
  EXPECT_FALSE(log->Enabled(LogLevel::kInfo));
  log->SetLevel(LogLevel::kDebug);
  EXPECT_EQ(log->Level(), LogLevel::kDebug);
  EXPECT_NE(Captured([&] { log->Debug("shown"); }), "");
}

TEST(LogTest, LinesOfManyThreadsStayWhole) {
  auto log = MakeStderrLog(LogLevel::kInfo, LogFormat::kJson);
  std::string out = Captured([&] {
    std::vector<Thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back("logger", [&log](std::stop_token) {
        for (int i = 0; i < 200; ++i) log->Info("line", {{"v", std::string(300, 'v')}});
      });
    }
  });
  size_t lines = 0;
  for (size_t at = 0; at < out.size(); ++lines) {
    size_t end = out.find('\n', at);
    ASSERT_NE(end, std::string::npos);
    ASSERT_TRUE(Json::Parse(out.substr(at, end - at)).ok());
    at = end + 1;
  }
  EXPECT_EQ(lines, 800u);
}

TEST(LogTest, NamesOfLevelsAndFormatsAreParsed) {
  EXPECT_EQ(*ParseLogLevel("debug"), LogLevel::kDebug);
  EXPECT_EQ(*ParseLogLevel("error"), LogLevel::kError);
  EXPECT_EQ(ParseLogLevel("WARN").code(), Code::kInvalidArgument);
  EXPECT_EQ(*ParseLogFormat("json"), LogFormat::kJson);
  EXPECT_EQ(ParseLogFormat("xml").code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace writ
