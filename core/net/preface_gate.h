// SPDX-License-Identifier: Apache-2.0
//
// PrefaceGate: holds a connected socket until the 24 bytes that begin HTTP/2 have come (they are
// looked at, not taken), within a deadline. gRPC has no such deadline for descriptors that it is
// given, so that silent clients would cost memory for ever.
//
// Trust: the peer is hostile. Threads: the loop's thread alone.
#pragma once

#include <functional>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/net/event_loop.h"

namespace writ {

inline constexpr std::string_view kHttp2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

class PrefaceGate {
 public:
  PrefaceGate(EventLoop* loop, Clock* clock, Duration deadline)
      : loop_(loop), clock_(clock), deadline_(deadline) {}

  // `pass` gets the socket back; when the deadline passes or something else comes, the socket is
  // closed and `pass` dropped.
  void Hold(Fd socket, std::function<void(Fd)> pass);

 private:
  struct Held;
  void Look(Held& held, uint32_t events);
  void LetGo(Held& held);

  EventLoop* const loop_;
  Clock* const clock_;
  const Duration deadline_;
};

}  // namespace writ
