// SPDX-License-Identifier: Apache-2.0
//
// Delivery: the one thread that moves streams on when something new is there for them, so that
// neither the cache's writer nor gRPC's threads compose answers. A stream waits in the line at most
// once, however often it is scheduled: the line is never longer than there are streams.
//
// OpenStreams: which streams are open, how many a process may have, and how all of them end.
//
// Threads: thread-safe.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>

#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/base/thread.h"

namespace writ {

class Deliverable {
 public:
  virtual ~Deliverable() = default;
  // Looks whether there is something new and starts to send it. Must not block.
  virtual void Deliver() = 0;
  // The stream ends with this status, as soon as what is being written has been.
  virtual void End(const Status& status) = 0;

 private:
  friend class Delivery;
  bool in_line_ = false;  // guarded by Delivery::mu_
};

class Delivery {
 public:
  Delivery();
  ~Delivery();
  void Schedule(std::shared_ptr<Deliverable> stream) EXCLUDES(mu_);

 private:
  void Run();

  Mutex mu_;
  CondVar ready_;
  bool closing_ GUARDED_BY(mu_) = false;
  std::deque<std::shared_ptr<Deliverable>> line_ GUARDED_BY(mu_);
  Thread thread_;  // constant after construction
};

inline constexpr size_t kStreamsMax = 100'000;
inline constexpr size_t kStreamsPerProcessMax = 10'000;

class OpenStreams {
 public:
  // A number to Leave() with; ResourceExhausted when there are too many, Unavailable after
  // EndAll().
  Result<uint64_t> Enter(pid_t pid, std::weak_ptr<Deliverable> stream) EXCLUDES(mu_);
  void Leave(uint64_t number) EXCLUDES(mu_);
  // Ends every open stream, and every later one at once.
  void EndAll(const Status& status) EXCLUDES(mu_);
  size_t size() const EXCLUDES(mu_);

 private:
  struct Open {
    pid_t pid;
    std::weak_ptr<Deliverable> stream;
  };

  mutable Mutex mu_;
  uint64_t next_number_ GUARDED_BY(mu_) = 1;
  Status ended_ GUARDED_BY(mu_);
  std::map<uint64_t, Open> open_ GUARDED_BY(mu_);
  std::map<pid_t, size_t> by_process_ GUARDED_BY(mu_);
};

}  // namespace writ
