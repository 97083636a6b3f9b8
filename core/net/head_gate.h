// SPDX-License-Identifier: Apache-2.0
//
// HeadGate: holds HTTP connections until the head of their request is here, so that clients that
// dribble it hold no thread. Bounded in number and time: the oldest makes room.
//
// Trust: the clients are hostile; nothing of what they send is read here, it is only looked at.
// Threads: Hold() from any thread; `ready` is called on the gate's own thread and must not block.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "core/net/event_loop.h"

namespace writ {

inline constexpr size_t kHeldHeadsMax = 256;
inline constexpr size_t kHeadBytesMax = 8192;
inline constexpr Duration kHeadDeadline = std::chrono::seconds(5);

class HeadGate {
 public:
  static Result<std::unique_ptr<HeadGate>> Start(Clock* clock, std::function<void(Fd)> ready);
  ~HeadGate();

  // A connected socket; dropped when the gate has ended.
  void Hold(Fd socket);

 private:
  struct Held {
    Fd socket;
    EventLoop::WatchId watch;
    EventLoop::TimerId deadline;
  };
  HeadGate(Clock* clock, std::function<void(Fd)> ready)
      : clock_(clock), ready_(std::move(ready)) {}
  void Admit(Fd socket);
  void Look(uint64_t id);
  Fd Release(uint64_t id);

  Clock* const clock_;  // borrowed
  const std::function<void(Fd)> ready_;
  // The loop's thread only.
  std::map<uint64_t, Held> held_;  // by age
  uint64_t next_id_ = 1;
  std::unique_ptr<EventLoop> loop_;  // the last member: it uses all others
};

}  // namespace writ
