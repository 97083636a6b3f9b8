// SPDX-License-Identifier: Apache-2.0
//
// SimWorld: time and turns. Actors are threads of which exactly one runs at any moment: whoever
// sleeps gives the turn back, and time leaps to the next who is due. So a run depends on its seed
// alone, and a week of waiting takes no time.
//
// SimClock: one machine's clocks in that world, its wall clock off by a skew.
//
// Threads: Run(), Start() and Finish() by the thread that made the world; Sleep() by actors.
#pragma once

#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/mutex.h"
#include "core/base/thread.h"

namespace writ {

class SimWorld {
 public:
  class Actor;

  explicit SimWorld(uint64_t seed);
  ~SimWorld();

  Time Now() const EXCLUDES(mu_);
  MonoTime Monotonic() const EXCLUDES(mu_);

  // Runs `body` as an actor, first when Run() or Finish() comes to it.
  Actor* Start(const std::string& name, std::function<void()> body) EXCLUDES(mu_);
  bool Finished(const Actor* actor) const EXCLUDES(mu_);
  // Lets this actor run to its end, time standing still; it is gone afterwards.
  void Finish(Actor* actor) EXCLUDES(mu_);

  // `step` runs first after `first`, on the thread of Run(), and says after how long again.
  void Every(Duration first, std::function<Duration()> step);
  // Until `end` or until a step or an actor has called Stop().
  void Run(MonoTime end) EXCLUDES(mu_);
  void Stop() { stopped_ = true; }

  // Of the actor that calls. For others time stands still.
  void Sleep(MonoTime until) EXCLUDES(mu_);

  std::mt19937_64 random;  // of whoever has the turn
  bool Chance(double probability) { return std::uniform_real_distribution()(random) < probability; }
  // From 0 to `most`, in seconds.
  Duration UpTo(Duration most);

 private:
  struct Task {
    MonoTime due;
    std::function<Duration()> step;
  };

  void GiveTurn(Actor* actor) EXCLUDES(mu_);
  Actor* NextActor(MonoTime* due) EXCLUDES(mu_);

  mutable Mutex mu_;
  CondVar given_back_;  // the turn, to the thread of Run()
  Actor* turn_ GUARDED_BY(mu_) = nullptr;  // null: the thread of Run()
  MonoTime mono_ GUARDED_BY(mu_){};
  std::vector<std::unique_ptr<Actor>> actors_ GUARDED_BY(mu_);
  std::vector<Task> tasks_;  // of the thread of Run()
  bool stopped_ = false;     // of whoever has the turn
};

class SimClock final : public Clock {
 public:
  explicit SimClock(SimWorld* world) : world_(world) {}
  Time Now() const override { return world_->Now() + skew; }
  MonoTime Monotonic() const override { return world_->Monotonic(); }
  // A notification is noticed when the time has come: no wait of a program may depend on one.
  WakeReason WaitUntil(MonoTime deadline, Wake& wake, std::stop_token stop) override;
  using Clock::WaitUntil;

  Duration skew{};                // of whoever has the turn
  std::function<void()> on_wait;  // likewise; called before each wait

 private:
  SimWorld* const world_;
};

}  // namespace writ
