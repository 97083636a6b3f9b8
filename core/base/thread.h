// SPDX-License-Identifier: Apache-2.0
//
// Thread: a named thread that is asked to stop and joined when it goes out of scope, and
// WorkerPool: up to a number of threads that run short tasks from one bounded queue. The first is
// there from the start, the others are made when tasks would wait, and stay.
//
// This is the only place that makes threads. Every thread blocks SIGPIPE and the signals that the
// main thread waits for.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "core/base/mutex.h"

namespace writ {

class Thread {
 public:
  Thread() = default;
  // `name`: at most 15 bytes reach the kernel. `body` must return soon after the token stops.
  Thread(std::string name, std::function<void(std::stop_token)> body);
  Thread(Thread&&) = default;
  Thread& operator=(Thread&&) = default;

  void RequestStop() { thread_.request_stop(); }
  void Join();
  bool Joinable() const { return thread_.joinable(); }

 private:
  std::jthread thread_;  // constant after construction
};

class WorkerPool {
 public:
  WorkerPool(std::string name, size_t threads_max, size_t queue_max);
  ~WorkerPool();  // runs what is queued, then joins
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // False when the queue is full or the pool is closing: the caller sheds the load.
  bool Submit(std::function<void()> task) EXCLUDES(mu_);
  size_t ThreadCount() const EXCLUDES(mu_);

 private:
  void Grow() REQUIRES(mu_);
  void Run() EXCLUDES(mu_);

  const std::string name_;
  const size_t threads_max_;
  const size_t queue_max_;
  mutable Mutex mu_;
  CondVar ready_;
  bool closing_ GUARDED_BY(mu_) = false;
  size_t idle_ GUARDED_BY(mu_) = 0;  // threads that wait for a task
  std::deque<std::function<void()>> queue_ GUARDED_BY(mu_);
  std::vector<Thread> threads_ GUARDED_BY(mu_);
};

}  // namespace writ
