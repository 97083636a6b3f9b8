// SPDX-License-Identifier: Apache-2.0
#include "core/base/process.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "core/base/thread.h"

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

}  // namespace
}  // namespace writ
