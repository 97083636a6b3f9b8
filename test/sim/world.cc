// SPDX-License-Identifier: Apache-2.0
#include "test/sim/world.h"

#include <algorithm>
#include <utility>

namespace writ {
namespace {

constexpr int64_t kBeginUnixSeconds = 1'790'000'000;

thread_local SimWorld::Actor* this_actor = nullptr;

}  // namespace

class SimWorld::Actor {
 public:
  MonoTime due;
  bool finished = false;
  CondVar may_run;  // it has the turn
  Thread thread;
};

SimWorld::SimWorld(uint64_t seed) : random(seed) {}

SimWorld::~SimWorld() {
  MutexLock lock(mu_);
  CHECK(actors_.empty());
}

Time SimWorld::Now() const {
  return FromUnixSeconds(kBeginUnixSeconds) + Monotonic().time_since_epoch();
}

MonoTime SimWorld::Monotonic() const {
  MutexLock lock(mu_);
  return mono_;
}

Duration SimWorld::UpTo(Duration most) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(most).count();
  return std::chrono::seconds(std::uniform_int_distribution<int64_t>(0, seconds)(random));
}

SimWorld::Actor* SimWorld::Start(const std::string& name, std::function<void()> body) {
  auto made = std::make_unique<Actor>();
  Actor* actor = made.get();
  MutexLock lock(mu_);
  actor->due = mono_;
  actors_.push_back(std::move(made));
  actor->thread = Thread(name, [this, actor, body = std::move(body)](std::stop_token) {
    this_actor = actor;
    {
      MutexLock turn(mu_);
      while (turn_ != actor) actor->may_run.Wait(mu_);
    }
    body();
    MutexLock turn(mu_);
    actor->finished = true;
    turn_ = nullptr;
    given_back_.NotifyOne();
  });
  return actor;
}

bool SimWorld::Finished(const Actor* actor) const {
  MutexLock lock(mu_);
  return actor->finished;
}

void SimWorld::Finish(Actor* actor) {
  while (!Finished(actor)) GiveTurn(actor);
  actor->thread.Join();
  MutexLock lock(mu_);
  std::erase_if(actors_, [&](const auto& known) { return known.get() == actor; });
}

void SimWorld::Every(Duration first, std::function<Duration()> step) {
  tasks_.push_back({Monotonic() + first, std::move(step)});
}

void SimWorld::Run(MonoTime end) {
  while (!stopped_) {
    MonoTime due = MonoTime::max();
    Actor* actor = NextActor(&due);
    auto task = std::min_element(tasks_.begin(), tasks_.end(),
                                 [](const Task& a, const Task& b) { return a.due < b.due; });
    const bool task_first = task != tasks_.end() && task->due <= due;
    if (task_first) due = task->due;
    if (due > end) break;
    {
      MutexLock lock(mu_);
      mono_ = std::max(mono_, due);
    }
    if (task_first) {
      const Duration pause = task->step();  // which may add tasks, but not while it is at `task`
      task->due = due + pause;
    } else {
      GiveTurn(actor);
    }
  }
}

SimWorld::Actor* SimWorld::NextActor(MonoTime* due) {
  MutexLock lock(mu_);
  Actor* next = nullptr;
  for (const auto& actor : actors_) {
    if (actor->finished || actor->due >= *due) continue;
    next = actor.get();
    *due = actor->due;
  }
  return next;
}

void SimWorld::GiveTurn(Actor* actor) {
  MutexLock lock(mu_);
  if (actor->finished) return;
  turn_ = actor;
  actor->may_run.NotifyOne();
  while (turn_ != nullptr) given_back_.Wait(mu_);
}

void SimWorld::Sleep(MonoTime until) {
  Actor* actor = this_actor;
  if (actor == nullptr) return;
  MutexLock lock(mu_);
  actor->due = std::max(until, mono_);
  turn_ = nullptr;
  given_back_.NotifyOne();
  while (turn_ != actor) actor->may_run.Wait(mu_);
}

WakeReason SimClock::WaitUntil(MonoTime deadline, Wake&, std::stop_token stop) {
  if (on_wait) on_wait();
  if (!stop.stop_requested()) world_->Sleep(deadline);
  return stop.stop_requested() ? WakeReason::kStopped : WakeReason::kTime;
}

}  // namespace writ
