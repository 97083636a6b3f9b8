// SPDX-License-Identifier: Apache-2.0
#include "server/audit/audit_log.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "core/base/file.h"
#include "core/base/thread.h"
#include "test/fake/fake_clock.h"
#include "test/fake/faulty_files.h"
#include "test/support/paths.h"

namespace writ {
namespace {

constexpr char kLine[] = R"({"time":"2026-01-31T12:00:00Z","action":"a"})"
                         "\n";

class AuditLogTest : public testing::Test {
 protected:
  std::unique_ptr<AuditLog> Open() { return OpenFileAuditLog(path_, &clock_).value(); }
  std::string Content() const { return ReadFile(path_).value(); }
  void Put(const std::string& content) const { std::ofstream(path_) << content; }
  static AuditEvent Event(std::string subject) {
    return {.action = "x509_svid.issue", .outcome = "ok", .actor = "server", .subject = subject};
  }
  std::vector<Json> Lines() const {
    std::vector<Json> lines;
    std::istringstream content(Content());
    for (std::string line; std::getline(content, line);) lines.push_back(*Json::Parse(line));
    return lines;
  }

  TempDir directory_;
  const std::string path_ = directory_ / "audit.log";
  FakeClock clock_{FromUnixSeconds(1'769'860'800)};
};

// The process may grow no file beyond `bytes` while this lives: a disk that is full.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(size_t bytes) {
    CHECK(getrlimit(RLIMIT_FSIZE, &old_) == 0);
    old_handler_ = signal(SIGXFSZ, SIG_IGN);
    rlimit limit = old_;
    limit.rlim_cur = bytes;
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
  }
  ~FileSizeLimit() {
    CHECK(setrlimit(RLIMIT_FSIZE, &old_) == 0);
    signal(SIGXFSZ, old_handler_);
  }

 private:
  rlimit old_;
  sighandler_t old_handler_;
};

TEST_F(AuditLogTest, EventIsOneLineOfJson) {
  AuditEvent event = Event("spiffe://example.org/web");
  event.details = {{"serial", "123"}, {"not_after", int64_t{1'769'864'400}}};
  ASSERT_TRUE(Open()->Append(event).ok());
  EXPECT_EQ(Content(),
            R"({"time":"2026-01-31T12:00:00Z","action":"x509_svid.issue","outcome":"ok",)"
            R"("actor":"server","subject":"spiffe://example.org/web","serial":"123",)"
            R"("not_after":1769864400})"
            "\n");
}

TEST_F(AuditLogTest, FileIsPrivateAndAppendedTo) {
  Put(kLine);
  chmod(path_.c_str(), 0644);
  std::unique_ptr<AuditLog> log = Open();
  ASSERT_TRUE(log->Append(std::vector{Event("1"), Event("2")}).ok());
  EXPECT_TRUE(log->Append(std::span<const AuditEvent>()).ok());
  EXPECT_EQ(Lines().size(), 3u);
  EXPECT_EQ(*Lines()[2].Find("subject")->AsString(), "2");
  struct stat info;
  ASSERT_EQ(stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(AuditLogTest, HostileTextStaysInItsLine) {
  AuditEvent event = Event("a\nb\r\"}\x01\xff");
  event.details = {{"dns_names", Json::Array{"x\n{\"action\":\"forged\"}"}}};
  ASSERT_TRUE(Open()->Append(event).ok());
  const std::string content = Content();
  EXPECT_EQ(content.find('\n'), content.size() - 1);
  EXPECT_EQ(*Lines()[0].Find("action")->AsString(), "x509_svid.issue");
}

TEST_F(AuditLogTest, LineIsBoundedAndKeepsWhatMatters) {
  AuditEvent event = Event("s");
  event.details = {{"names", std::string(kAuditLineBytesMax, 'n')}};
  ASSERT_TRUE(Open()->Append(event).ok());
  event = Event(std::string(1 << 20, '\x01'));
  event.actor = std::string(1 << 20, 'a');
  ASSERT_TRUE(Open()->Append(event).ok());
  std::vector<Json> lines = Lines();
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_TRUE(*lines[0].Find("details_omitted")->AsBool());
  EXPECT_EQ(*lines[0].Find("subject")->AsString(), "s");
  EXPECT_LE(Content().size(), 2 * kAuditLineBytesMax);
}

TEST_F(AuditLogTest, TornLastLineIsCutOff) {
  Put(std::string(kLine) + R"({"time":"2026-01-3)");
  std::unique_ptr<AuditLog> log = Open();
  EXPECT_EQ(Content(), kLine);
  ASSERT_TRUE(log->Append(Event("1")).ok());
  EXPECT_EQ(Lines().size(), 2u);
}

TEST_F(AuditLogTest, FileOfOneTornLineIsEmptied) {
  Put(R"({"time")");
  Open();
  EXPECT_EQ(Content(), "");
}

TEST_F(AuditLogTest, FileOfAnotherKindIsLeftAlone) {
  Put("precious text");
  EXPECT_EQ(OpenFileAuditLog(path_, &clock_).status().code(), Code::kFailedPrecondition);
  EXPECT_EQ(Content(), "precious text");
  Put("{" + std::string(2 * kAuditLineBytesMax, 'x'));
  EXPECT_EQ(OpenFileAuditLog(path_, &clock_).status().code(), Code::kFailedPrecondition);
  EXPECT_EQ(Content().size(), 1 + 2 * kAuditLineBytesMax);
}

TEST_F(AuditLogTest, PlacesThatCannotHoldALogAreRefused) {
  EXPECT_EQ(OpenFileAuditLog("/dev/null", &clock_).status().code(), Code::kFailedPrecondition);
  EXPECT_FALSE(OpenFileAuditLog(directory_.path(), &clock_).ok());
  EXPECT_FALSE(OpenFileAuditLog(directory_ / "no/audit.log", &clock_).ok());
}

TEST_F(AuditLogTest, FullDiskIsUnavailableLeavesNoPartialLineAndPasses) {
  std::unique_ptr<AuditLog> log = Open();
  ASSERT_TRUE(log->Append(Event("before")).ok());
  const std::string before = Content();
  {
    FileSizeLimit limit(before.size() + 20);
    Status refused = log->Append(Event("during"));
    EXPECT_EQ(refused.code(), Code::kUnavailable);
    EXPECT_NE(refused.message().find(path_), std::string::npos) << refused.message();
    EXPECT_EQ(log->Append(Event("still")).code(), Code::kUnavailable);
    EXPECT_EQ(Content(), before);
  }
  ASSERT_TRUE(log->Append(Event("after")).ok());
  ASSERT_EQ(Lines().size(), 2u);
  EXPECT_EQ(*Lines()[1].Find("subject")->AsString(), "after");
}

TEST_F(AuditLogTest, CheckTellsWhetherEventsAreWrittenAndTriesAnew) {
  std::unique_ptr<AuditLog> log = Open();
  EXPECT_TRUE(log->Check().ok());
  ASSERT_TRUE(log->Append(Event("before")).ok());
  {
    FileSizeLimit limit(Content().size() + 20);
    EXPECT_TRUE(log->Check().ok());  // nothing has failed yet
    EXPECT_EQ(log->Append(Event("during")).code(), Code::kUnavailable);
    EXPECT_EQ(log->Check().code(), Code::kUnavailable);
  }
  EXPECT_TRUE(log->Check().ok());
  EXPECT_TRUE(log->Check().ok());
  ASSERT_EQ(Lines().size(), 2u);
  EXPECT_EQ(*Lines()[1].Find("action")->AsString(), "audit_log.resume");
  EXPECT_NE(Lines()[1].Find("after"), nullptr);
}

TEST_F(AuditLogTest, ReopenGoesOnInANewFile) {
  std::unique_ptr<AuditLog> log = Open();
  ASSERT_TRUE(log->Append(Event("1")).ok());
  const std::string rotated = path_ + ".1";
  std::filesystem::rename(path_, rotated);
  ASSERT_TRUE(log->Append(Event("2")).ok());
  EXPECT_FALSE(std::filesystem::exists(path_));
  ASSERT_TRUE(log->Reopen().ok());
  ASSERT_TRUE(log->Append(Event("3")).ok());
  EXPECT_EQ(Lines().size(), 1u);
  std::filesystem::rename(rotated, path_);
  EXPECT_EQ(Lines().size(), 2u);
}

TEST_F(AuditLogTest, ReopenThatFailsKeepsTheOldFile) {
  std::unique_ptr<AuditLog> log = Open();
  std::filesystem::rename(path_, path_ + ".1");
  std::filesystem::create_directory(path_);
  EXPECT_FALSE(log->Reopen().ok());
  EXPECT_TRUE(log->Append(Event("1")).ok());
  EXPECT_NE(ReadFile(path_ + ".1")->find("\"1\""), std::string::npos);
}

TEST_F(AuditLogTest, FileEmptiedByARotationIsGoneOnWith) {
  std::unique_ptr<AuditLog> log = Open();
  ASSERT_TRUE(log->Append(Event("1")).ok());
  std::filesystem::resize_file(path_, 0);
  ASSERT_TRUE(log->Append(Event("2")).ok());
  EXPECT_EQ(Lines().size(), 1u);
}

TEST_F(AuditLogTest, ConcurrentEventsAreAllThereEachInOneLine) {
  constexpr int kThreads = 8;
  constexpr int kEach = 100;
  std::unique_ptr<AuditLog> log = Open();
  {
    std::vector<Thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back("append", [&](std::stop_token) {
        for (int i = 0; i < kEach; ++i) EXPECT_TRUE(log->Append(Event(std::to_string(i))).ok());
      });
    }
  }
  EXPECT_EQ(Lines().size(), size_t{kThreads * kEach});
}

TEST_F(AuditLogTest, CallbackComesOnceTheLineIsThere) {
  constexpr int kEach = 200;
  std::atomic<int> called = 0;
  std::atomic<int> missing = 0;
  {
    std::unique_ptr<AuditLog> log = Open();
    log->AppendThen({}, [&](const Status& status) { called += status.ok(); });
    EXPECT_EQ(called, 1);  // nothing to wait for
    Thread blocking("append", [&](std::stop_token) {
      for (int i = 0; i < kEach; ++i) EXPECT_TRUE(log->Append(Event("b")).ok());
    });
    for (int i = 0; i < kEach; ++i) {
      const std::string subject = "then-" + std::to_string(i) + "!";
      const AuditEvent event = Event(subject);
      log->AppendThen(std::span(&event, 1), [&, subject](const Status& status) {
        called += status.ok();
        missing += Content().find(subject) == std::string::npos;
      });
    }
  }  // the end waits for those who wait
  EXPECT_EQ(called, 1 + kEach);
  EXPECT_EQ(missing, 0);
  EXPECT_EQ(Lines().size(), size_t{2 * kEach});
}

TEST_F(AuditLogTest, CallbackTellsOfAFullDisk) {
  std::unique_ptr<AuditLog> log = Open();
  ASSERT_TRUE(log->Append(Event("1")).ok());
  std::vector<Status> outcomes;  // written by the log's thread, read after its end
  {
    FileSizeLimit full(Content().size() + 5);
    const AuditEvent event = Event("2");
    log->AppendThen(std::span(&event, 1), [&](Status status) { outcomes.push_back(status); });
    log.reset();
  }
  ASSERT_EQ(outcomes.size(), 1u);
  EXPECT_EQ(outcomes[0].code(), Code::kUnavailable);
  EXPECT_EQ(Lines().size(), 1u);
}

TEST_F(AuditLogTest, ADiskThatFailsAtAnyStepLeavesWholeLinesAndAllThatWereAcknowledged) {
  FaultyFiles files;
  std::unique_ptr<AuditLog> log = Open();
  std::set<std::string> acknowledged;
  for (int error : {ENOSPC, EROFS, EIO}) {
    for (int step = 0; step < 6; ++step) {
      files.Fail(directory_.path(), error, step);
      for (int i = 0; i < 4; ++i) {
        const std::string subject = std::to_string(error + 1000 * step) + "." + std::to_string(i);
        Status answer = log->Append(Event(subject));
        if (answer.ok()) acknowledged.insert(subject);
        EXPECT_TRUE(answer.ok() || answer.code() == Code::kUnavailable) << answer.ToString();
      }
      files.Heal(directory_.path());
      ASSERT_TRUE(log->Append(Event("healed")).ok());
    }
  }
  std::set<std::string> there;
  for (const Json& line : Lines()) there.insert(*line.Find("subject")->AsString());
  EXPECT_GE(acknowledged.size(), 18u);
  EXPECT_TRUE(std::ranges::includes(there, acknowledged));
}

TEST_F(AuditLogTest, AcknowledgedEventsSurviveAKill) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  Fd in(ends[0]);
  Fd out(ends[1]);
  pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    std::unique_ptr<AuditLog> log = Open();
    while (log->Append(Event("e")).ok() && write(out.get(), ".", 1) == 1) {
    }
    _exit(1);
  }
  out.Reset();
  size_t acknowledged = 0;
  for (char byte; read(in.get(), &byte, 1) == 1;) {
    if (++acknowledged == 50) kill(child, SIGKILL);
  }
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  Open();
  EXPECT_GE(Lines().size(), acknowledged);
}

TEST_F(AuditLogTest, DetailThatHidesAFieldEndsTheProcess) {
  AuditEvent event = Event("s");
  event.details = {{"actor", "someone else"}};
  std::unique_ptr<AuditLog> log = Open();
  EXPECT_DEATH((void)log->Append(event), "broken invariant");
}

}  // namespace
}  // namespace writ
