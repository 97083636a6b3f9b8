// SPDX-License-Identifier: Apache-2.0
//
// EventLoop: one thread that waits on descriptors and moments and runs what is due, one thing at a
// time. State that only the loop's thread touches needs no lock.
//
// Threads: Post and Run from any thread; everything else on the loop's thread alone (in what it
// runs).
// Lifetime: the destructor runs what was posted, joins, then drops every watch and timer.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/base/thread.h"

namespace writ {

class EventLoop {
 public:
  using Task = std::function<void()>;
  using Ready = std::function<void(uint32_t epoll_events)>;
  using WatchId = uint64_t;
  using TimerId = std::pair<MonoTime, uint64_t>;

  static Result<std::unique_ptr<EventLoop>> Start(const std::string& name, Clock* clock);
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Runs what was posted and ends the thread. The destructor does so too.
  void Stop();
  // False when the loop has ended: the task will not run.
  bool Post(Task task) EXCLUDES(mu_);
  // Posts and waits until the task has run. Not with a lock held that something on the loop takes.
  void Run(const Task& task);

  // The descriptor stays the caller's: Unwatch before closing it. `events` as for epoll_ctl.
  Result<WatchId> Watch(int fd, uint32_t events, Ready ready);
  void Rearm(WatchId id, uint32_t events);
  void Unwatch(WatchId id);
  TimerId At(MonoTime when, Task task);
  void Cancel(TimerId id);
  // After all descriptors that are ready now had their turn.
  void Defer(Task task) { deferred_.push_back(std::move(task)); }

 private:
  struct Watched {
    int fd;
    Ready ready;
  };

  EventLoop(Fd epoll, Fd kick, Clock* clock);
  void Loop(std::stop_token stop);
  void Kick();
  int WaitMillis() const;
  void RunPosted() EXCLUDES(mu_);
  void RunTimers();
  void RunDeferred();

  const Fd epoll_;
  const Fd kick_;  // an eventfd; its watch is number 0
  Clock* const clock_;

  // The loop's thread only.
  std::unordered_map<WatchId, std::shared_ptr<Watched>> watches_;
  std::map<TimerId, Task> timers_;
  std::vector<Task> deferred_;
  uint64_t next_id_ = 1;

  Mutex mu_;
  bool ended_ GUARDED_BY(mu_) = false;
  std::vector<Task> posted_ GUARDED_BY(mu_);

  Thread thread_;  // the last member: it uses all others
};

}  // namespace writ
