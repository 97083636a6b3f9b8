// SPDX-License-Identifier: Apache-2.0
#include "server/loop.h"

#include <gtest/gtest.h>

#include "core/base/mutex.h"
#include "test/fake/fake_clock.h"

namespace writ {
namespace {

// Counts a loop's steps, and lets the test wait for one.
class Steps {
 public:
  void Add() {
    MutexLock lock(mu_);
    ++count_;
    changed_.NotifyAll();
  }
  void WaitFor(int count) {
    MutexLock lock(mu_);
    while (count_ < count) changed_.Wait(mu_);
  }
  int Count() {
    MutexLock lock(mu_);
    return count_;
  }

 private:
  Mutex mu_;
  CondVar changed_;
  int count_ GUARDED_BY(mu_) = 0;
};

TEST(LoopTest, RunsAtOnceAtTheTimeThatItSaidAndWhenNotified) {
  FakeClock clock;
  Steps steps;
  Loop loop("test", &clock, clock.Now(), [&] {
    Time next = clock.Now() + std::chrono::seconds(30);  // before the test can advance the clock
    steps.Add();
    return next;
  });
  steps.WaitFor(1);
  loop.Notify();
  steps.WaitFor(2);
  clock.Advance(std::chrono::seconds(31));
  steps.WaitFor(3);
}

TEST(LoopTest, EndsWithoutAStepThatIsNotDue) {
  FakeClock clock;
  Steps steps;
  {
    Loop loop("test", &clock, clock.Now() + std::chrono::hours(1), [&] {
      steps.Add();
      return clock.Now();
    });
  }
  EXPECT_EQ(steps.Count(), 0);
}

}  // namespace
}  // namespace writ
