// SPDX-License-Identifier: Apache-2.0
#include "core/net/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace writ {
namespace {

constexpr int kEventsPerTurn = 128;
// The longest sleep: an injected clock may move without the kernel's knowledge.
constexpr int kWaitMillisMax = 1000;
constexpr EventLoop::WatchId kKickId = 0;

}  // namespace

Result<std::unique_ptr<EventLoop>> EventLoop::Start(const std::string& name, Clock* clock) {
  Fd epoll(epoll_create1(EPOLL_CLOEXEC));
  Fd kick(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!epoll.valid() || !kick.valid()) {
    return ResourceExhausted("make an event loop: " + std::string(std::strerror(errno)));
  }
  epoll_event event{.events = EPOLLIN, .data = {.u64 = kKickId}};
  if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, kick.get(), &event) != 0) {
    return ResourceExhausted("make an event loop: " + std::string(std::strerror(errno)));
  }
  std::unique_ptr<EventLoop> loop(new EventLoop(std::move(epoll), std::move(kick), clock));
  loop->thread_ = Thread(name, [raw = loop.get()](std::stop_token stop) { raw->Loop(stop); });
  return loop;
}

EventLoop::EventLoop(Fd epoll, Fd kick, Clock* clock)
    : epoll_(std::move(epoll)), kick_(std::move(kick)), clock_(clock) {}

EventLoop::~EventLoop() { Stop(); }

void EventLoop::Stop() {
  thread_.RequestStop();
  thread_.Join();
}

bool EventLoop::Post(Task task) {
  {
    MutexLock lock(mu_);
    if (ended_) return false;
    posted_.push_back(std::move(task));
  }
  Kick();
  return true;
}

void EventLoop::Run(const Task& task) {
  Mutex mu;
  CondVar finished;
  bool done = false;
  bool posted = Post([&] {
    task();
    MutexLock lock(mu);
    done = true;
    finished.NotifyAll();
  });
  if (!posted) return;
  MutexLock lock(mu);
  while (!done) finished.Wait(mu);
}

Result<EventLoop::WatchId> EventLoop::Watch(int fd, uint32_t events, Ready ready) {
  WatchId id = next_id_++;
  epoll_event event{.events = events, .data = {.u64 = id}};
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return ResourceExhausted("watch a descriptor: " + std::string(std::strerror(errno)));
  }
  watches_.emplace(id, std::make_shared<Watched>(Watched{fd, std::move(ready)}));
  return id;
}

void EventLoop::Rearm(WatchId id, uint32_t events) {
  auto found = watches_.find(id);
  CHECK(found != watches_.end());
  epoll_event event{.events = events, .data = {.u64 = id}};
  CHECK(epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, found->second->fd, &event) == 0);
}

void EventLoop::Unwatch(WatchId id) {
  auto found = watches_.find(id);
  CHECK(found != watches_.end());
  CHECK(epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, found->second->fd, nullptr) == 0);
  watches_.erase(found);
}

EventLoop::TimerId EventLoop::At(MonoTime when, Task task) {
  TimerId id{when, next_id_++};
  timers_.emplace(id, std::move(task));
  return id;
}

void EventLoop::Cancel(TimerId id) { timers_.erase(id); }

void EventLoop::Kick() {
  uint64_t one = 1;
  ssize_t written = write(kick_.get(), &one, sizeof one);
  CHECK(written == sizeof one || errno == EAGAIN);  // full means that a kick is waiting already
}

int EventLoop::WaitMillis() const {
  if (!deferred_.empty()) return 0;
  if (timers_.empty()) return kWaitMillisMax;
  Duration left = timers_.begin()->first.first - clock_->Monotonic();
  int64_t millis = std::chrono::ceil<std::chrono::milliseconds>(left).count();
  return static_cast<int>(std::clamp<int64_t>(millis, 0, kWaitMillisMax));
}

void EventLoop::Loop(std::stop_token stop) {
  std::stop_callback on_stop(stop, [this] { Kick(); });
  std::array<epoll_event, kEventsPerTurn> events;
  while (!stop.stop_requested()) {
    int count = epoll_wait(epoll_.get(), events.data(), kEventsPerTurn, WaitMillis());
    CHECK(count >= 0 || errno == EINTR);
    for (int i = 0; i < count; ++i) {
      WatchId id = events[i].data.u64;
      if (id == kKickId) {
        uint64_t ignored;
        CHECK(read(kick_.get(), &ignored, sizeof ignored) > 0 || errno == EAGAIN);
        continue;
      }
      auto found = watches_.find(id);
      if (found == watches_.end()) continue;  // unwatched earlier in this turn
      std::shared_ptr<Watched> watched = found->second;
      watched->ready(events[i].events);
    }
    RunPosted();
    RunTimers();
    RunDeferred();
  }
  {
    MutexLock lock(mu_);
    ended_ = true;
  }
  RunPosted();  // whoever waits in Run() is let go
}

void EventLoop::RunPosted() {
  std::vector<Task> tasks;
  {
    MutexLock lock(mu_);
    tasks.swap(posted_);
  }
  for (Task& task : tasks) task();
}

void EventLoop::RunTimers() {
  if (timers_.empty()) return;
  MonoTime now = clock_->Monotonic();
  while (!timers_.empty() && timers_.begin()->first.first <= now) {
    Task task = std::move(timers_.begin()->second);
    timers_.erase(timers_.begin());
    task();
  }
}

void EventLoop::RunDeferred() {
  std::vector<Task> tasks;
  tasks.swap(deferred_);
  for (Task& task : tasks) task();
}

}  // namespace writ
