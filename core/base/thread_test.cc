// SPDX-License-Identifier: Apache-2.0
#include "core/base/thread.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>

#include <array>
#include <atomic>
#include <latch>

#include "core/base/clock.h"

namespace writ {
namespace {

TEST(ThreadTest, IsNamedAndStoppedWhenItGoes) {
  std::array<char, 16> name{};
  std::atomic<bool> stopped = false;
  std::latch started(1);
  {
    Thread thread("a-name-that-is-too-long", [&](std::stop_token stop) {
      pthread_getname_np(pthread_self(), name.data(), name.size());
      started.count_down();
      SystemClock clock;
      stopped = !clock.WaitUntil(MonoTime::max(), stop);
    });
    EXPECT_TRUE(thread.Joinable());
    started.wait();
  }
  EXPECT_STREQ(name.data(), "a-name-that-is-");
  EXPECT_TRUE(stopped);
}

TEST(ThreadTest, BlocksTheSignalsThatTheMainThreadWaitsFor) {
  sigset_t mask;
  Thread("signals", [&](std::stop_token) { pthread_sigmask(SIG_BLOCK, nullptr, &mask); }).Join();
  for (int signal : {SIGPIPE, SIGTERM, SIGINT, SIGHUP}) EXPECT_EQ(sigismember(&mask, signal), 1);
  EXPECT_EQ(sigismember(&mask, SIGSEGV), 0);
}

TEST(WorkerPoolTest, RunsEverythingThatItTookBeforeItGoes) {
  std::atomic<int> ran = 0;
  int taken = 0;
  {
    WorkerPool pool("worker", 3, 1000);
    for (int i = 0; i < 500; ++i) taken += pool.Submit([&ran] { ++ran; }) ? 1 : 0;
  }
  EXPECT_EQ(taken, 500);
  EXPECT_EQ(ran, 500);
}

TEST(WorkerPoolTest, HasNoMoreThreadsThanTasksNeededAtOnce) {
  constexpr int kTogether = 3;
  std::latch busy(kTogether);
  std::latch release(1);
  WorkerPool pool("worker", 8, 100);
  EXPECT_EQ(pool.ThreadCount(), 1u);
  for (int i = 0; i < kTogether; ++i) {
    ASSERT_TRUE(pool.Submit([&] {
      busy.count_down();
      release.wait();
    }));
  }
  busy.wait();  // they run at the same time
  // The first thread may not have begun to wait when the first task came.
  EXPECT_GE(pool.ThreadCount(), 3u);
  EXPECT_LE(pool.ThreadCount(), 4u);
  release.count_down();
}

TEST(WorkerPoolTest, NeverHasMoreThreadsThanItMay) {
  std::latch busy(2);
  std::latch release(1);
  WorkerPool pool("worker", 2, 100);
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(pool.Submit([&, i] {
      if (i < 2) busy.count_down();
      release.wait();
    }));
  }
  busy.wait();
  EXPECT_EQ(pool.ThreadCount(), 2u);
  release.count_down();
}

TEST(WorkerPoolTest, AFullQueueRefuses) {
  std::latch busy(1);
  std::latch release(1);
  std::atomic<int> ran = 0;
  {
    WorkerPool pool("worker", 1, 2);
    ASSERT_TRUE(pool.Submit([&] {
      busy.count_down();
      release.wait();
    }));
    busy.wait();
    EXPECT_TRUE(pool.Submit([&] { ++ran; }));
    EXPECT_TRUE(pool.Submit([&] { ++ran; }));
    EXPECT_FALSE(pool.Submit([&] { ++ran; }));
    release.count_down();
  }
  EXPECT_EQ(ran, 2);
}

}  // namespace
}  // namespace writ
