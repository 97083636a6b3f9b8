// SPDX-License-Identifier: Apache-2.0
//
// Acceptor: takes connections from listening sockets on an EventLoop, within a limit, and goes on
// when descriptors run out: the last ones are kept for the connections that are open.
//
// Trust: clients are hostile: they connect in floods and vanish. Threads: the loop's thread alone,
// but for Slot and Open(). Lifetime: longer than its loop runs.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/status.h"
#include "core/net/client_limits.h"
#include "core/net/event_loop.h"
#include "core/net/ip.h"
#include "core/net/log_limit.h"

namespace writ {

struct Accepted {
  Fd socket;            // non-blocking
  uint64_t at_ticks;    // NowTicks() at accept
  std::optional<IpAddress> address;  // the remote one; nothing for a Unix socket
  std::shared_ptr<ClientLimits::Place> place;
};

class Acceptor {
 public:
  using OnAccept = std::function<void(Accepted)>;

  Acceptor(std::string name, EventLoop* loop, ClientLimits* limits, Clock* clock, Log* log);
  // `listener` is borrowed until Close().
  Status Add(int listener, OnAccept on_accept);
  // No further connections.
  void Close();

 private:
  struct Listening {
    int fd;
    EventLoop::WatchId watch;
    OnAccept on_accept;
  };

  void AcceptSome(Listening& listening);
  bool AcceptOne(Listening& listening);  // false: nothing more for now
  void OutOfDescriptors(int listener);
  void WarnOfDescriptors();
  void Pause();
  void WarnAtTimes(const std::string& sentence);

  const std::string name_;
  EventLoop* const loop_;
  ClientLimits* const limits_;
  Clock* const clock_;
  Log* const log_;
  // Loop's thread only.
  std::vector<std::unique_ptr<Listening>> listening_;
  Fd reserve_;  // given up to accept and close a connection when no descriptor is left
  bool paused_ = false;
  LogLimit warnings_;
};

}  // namespace writ
