// SPDX-License-Identifier: Apache-2.0
#include "core/base/thread.h"

#include <pthread.h>
#include <signal.h>

#include <utility>

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

WorkerPool::WorkerPool(std::string name, size_t threads, size_t queue_max)
    : queue_max_(queue_max) {
  for (size_t i = 0; i < threads; ++i) {
    threads_.emplace_back(name, [this](std::stop_token) { Run(); });
  }
}

WorkerPool::~WorkerPool() {
  {
    MutexLock lock(mu_);
    closing_ = true;
  }
  ready_.NotifyAll();
  for (Thread& thread : threads_) thread.Join();
}

bool WorkerPool::Submit(std::function<void()> task) {
  {
    MutexLock lock(mu_);
    if (closing_ || queue_.size() >= queue_max_) return false;
    queue_.push_back(std::move(task));
  }
  ready_.NotifyOne();
  return true;
}

void WorkerPool::Run() {
  while (true) {
    std::function<void()> task;
    {
      MutexLock lock(mu_);
      while (queue_.empty() && !closing_) ready_.Wait(mu_);
      if (queue_.empty()) return;
      task = std::move(queue_.front());
      queue_.pop_front();
    }
    task();
  }
}

}  // namespace writ
