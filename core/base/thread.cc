// SPDX-License-Identifier: Apache-2.0
#include "core/base/thread.h"

#include <pthread.h>
#include <signal.h>

#include <system_error>
#include <utility>

#include "core/base/status.h"

namespace writ {
namespace {

constexpr size_t kThreadNameMax = 15;  // what the kernel keeps

void BlockProcessSignals() {
  sigset_t blocked;
  sigemptyset(&blocked);
  for (int signal : {SIGPIPE, SIGTERM, SIGINT, SIGHUP}) sigaddset(&blocked, signal);
  pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
}

}  // namespace

Thread::Thread(std::string name, std::function<void(std::stop_token)> body)
    : thread_([name = std::move(name), body = std::move(body)](std::stop_token stop) {
        BlockProcessSignals();
        pthread_setname_np(pthread_self(), name.substr(0, kThreadNameMax).c_str());
        body(std::move(stop));
      }) {}

void Thread::Join() {
  if (thread_.joinable()) thread_.join();
}

WorkerPool::WorkerPool(std::string name, size_t threads_max, size_t queue_max)
    : name_(std::move(name)), threads_max_(threads_max), queue_max_(queue_max) {
  MutexLock lock(mu_);
  Grow();
  CHECK(!threads_.empty());
}

WorkerPool::~WorkerPool() {
  std::vector<Thread> threads;
  {
    MutexLock lock(mu_);
    closing_ = true;
    threads.swap(threads_);
  }
  ready_.NotifyAll();
  for (Thread& thread : threads) thread.Join();
}

bool WorkerPool::Submit(std::function<void()> task) {
  {
    MutexLock lock(mu_);
    if (closing_ || queue_.size() >= queue_max_) return false;
    queue_.push_back(std::move(task));
    if (queue_.size() > idle_ && threads_.size() < threads_max_) Grow();
  }
  ready_.NotifyOne();
  return true;
}

size_t WorkerPool::ThreadCount() const {
  MutexLock lock(mu_);
  return threads_.size();
}

void WorkerPool::Grow() {
  try {
    threads_.emplace_back(name_, [this](std::stop_token) { Run(); });
  } catch (const std::system_error&) {
    // The system has no thread left for us: those that are there do the work.
  }
}

void WorkerPool::Run() {
  while (true) {
    std::function<void()> task;
    {
      MutexLock lock(mu_);
      ++idle_;
      while (queue_.empty() && !closing_) ready_.Wait(mu_);
      --idle_;
      if (queue_.empty()) return;
      task = std::move(queue_.front());
      queue_.pop_front();
    }
    task();
  }
}

}  // namespace writ
