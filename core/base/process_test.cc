// SPDX-License-Identifier: Apache-2.0
#include "core/base/process.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <regex>
#include <string>

#include "core/base/thread.h"
#include "test/support/paths.h"

namespace writ {
namespace {

// Runs `body` in a process of its own, whose exit status it is.
int InChild(const std::function<int()>& body) {
  const pid_t pid = fork();
  if (pid == 0) _exit(body());
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(ProcessTest, TerminationIsWaitedForNotSuffered) {
  for (int signal : {SIGTERM, SIGINT}) {
    EXPECT_EQ(InChild([=] {
                StopSignal stop;
                kill(getpid(), SIGHUP);
                kill(getpid(), SIGPIPE);
                kill(getpid(), signal);
                stop.Wait();
                return 7;
              }),
              7);
  }
}

TEST(ProcessTest, HangupsAreToldApartFromTheEnd) {
  EXPECT_EQ(InChild([] {
              StopSignal stop;
              kill(getpid(), SIGHUP);
              if (!stop.WaitForReload()) return 1;
              kill(getpid(), SIGTERM);
              return stop.WaitForReload() ? 2 : 7;
            }),
            7);
}

TEST(ProcessTest, AThreadMayStopTheProcess) {
  EXPECT_EQ(InChild([] {
              StopSignal stop;
              Thread thread("stopper", [&](std::stop_token) { stop.Stop(); });
              stop.Wait();
              return 7;
            }),
            7);
}

TEST(ProcessTest, CoreDumpsAreForbidden) {
  EXPECT_EQ(InChild([] {
              rlimit limit{};
              const bool ok = ForbidCoreDumps().ok() && prctl(PR_GET_DUMPABLE) == 0 &&
                              getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_max == 0;
              return ok ? 0 : 1;
            }),
            0);
}

// Kilobytes of this process's memory that come from files.
long FileBackedKilobytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssFile:")) return std::stol(line.substr(line.find(':') + 1));
  }
  return -1;
}

// Reads a byte of each page of code: a new process has few of them.
void UseAllCode() {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    uintptr_t begin = 0;
    uintptr_t end = 0;
    char path = 0;
    if (sscanf(line.c_str(), "%lx-%lx r-xp %*s %*s %*s %c", &begin, &end, &path) != 3) continue;
    if (path != '/') continue;
    for (; begin < end; begin += 4096) (void)*reinterpret_cast<volatile const char*>(begin);
  }
}

TEST(ProcessTest, StartUpPagesAreReturnedAndComeBackWhenUsed) {
  EXPECT_EQ(InChild([] {
              UseAllCode();
              const long before = FileBackedKilobytes();
              ReturnStartUpPages();
              const long after = FileBackedKilobytes();
              if (before <= 0 || after <= 0) return 1;
              if (after >= before) return 2;
              return std::regex_match("still here", std::regex("[a-z ]+")) ? 7 : 3;
            }),
            7);
}

class NotifyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    path_.copy(address.sun_path, path_.size());
    ASSERT_EQ(bind(manager_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    setenv("NOTIFY_SOCKET", path_.c_str(), 1);
  }
  void TearDown() override { unsetenv("NOTIFY_SOCKET"); }

  TempDir dir_;
  const std::string path_ = dir_ / "notify";
  const Fd manager_{socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
};

TEST_F(NotifyTest, TheServiceManagerHears) {
  ASSERT_TRUE(NotifyServiceManager("READY=1", std::chrono::milliseconds(0)).ok());
  char heard[64];
  EXPECT_EQ(std::string(heard, recv(manager_.get(), heard, sizeof(heard), 0)), "READY=1");
  unsetenv("NOTIFY_SOCKET");
  EXPECT_TRUE(NotifyServiceManager("READY=1", std::chrono::milliseconds(0)).ok());
}

TEST_F(NotifyTest, AManagerThatDoesNotReadHoldsNobody) {
  Status told;
  int sent = 0;
  while (told.ok() && sent < 100'000) {
    told = NotifyServiceManager("WATCHDOG=1", std::chrono::milliseconds(0));
    ++sent;
  }
  EXPECT_EQ(told.code(), Code::kUnavailable);
  setenv("NOTIFY_SOCKET", (path_ + "-gone").c_str(), 1);
  EXPECT_EQ(NotifyServiceManager("READY=1", std::chrono::milliseconds(0)).code(),
            Code::kUnavailable);
}

}  // namespace
}  // namespace writ
