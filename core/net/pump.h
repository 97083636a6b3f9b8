// SPDX-License-Identifier: Apache-2.0
//
// Pump: connections on an EventLoop, of servers and clients alike. Life of one: handshake -> (a
// server's) first bytes seen -> opened: a socket for gRPC is handed over -> bytes are pumped ->
// ended. A deadline covers all that comes before `opened`: gRPC has none for descriptors that it is
// given, so that silent clients would cost memory for ever.
//
// Threads: the loop's thread alone. Lifetime: longer than its loop runs.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "core/net/event_loop.h"
#include "core/net/ip.h"
#include "core/net/tunnel.h"
#include "core/net/wire.h"

namespace writ {

struct PumpedConnection {
  uint64_t id;          // the caller's, unique in this pump
  std::shared_ptr<const IpAddress> address;  // of the peer, as known by now; null when it has none
  bool await_preface;   // a server's: hold until the peer has begun to speak HTTP/2
  MonoTime deadline;    // of all before `opened`
  // `plain` is gRPC's end. `chain` as the peer sent it, verified; may be empty.
  std::function<void(Fd plain, const std::vector<Certificate>& chain)> opened;
  // The last thing, unless the pump itself goes first. OK when the connection ended as it should.
  // `was_open`: after `opened`.
  std::function<void(const Status& why, bool was_open)> ended;
};

class Pump {
 public:
  // Whether a connection may go on, by the chain that it showed.
  using Keep = std::function<bool(const PumpedConnection&, const std::vector<Certificate>&)>;

  Pump(EventLoop* loop, Clock* clock);
  ~Pump();

  // `watch` may be null.
  void Add(std::unique_ptr<Wire> wire, Fd socket, std::unique_ptr<ByteWatch> watch,
           PumpedConnection options);
  // Ends what `keep` refuses. Connections whose peer's certificate is still to come are not asked.
  void CloseUnless(const Keep& keep, const Status& why);
  void CloseAll(const Status& why);

 private:
  struct Connection;
  using ConnectionPtr = std::shared_ptr<Connection>;

  void OnReady(const ConnectionPtr& connection);
  Result<bool> StepBeforeOpen(Connection& connection);
  void Open(const ConnectionPtr& connection);
  void PumpSome(const ConnectionPtr& connection);
  void Arm(Connection& connection);
  void End(Connection& connection, const Status& why);

  EventLoop* const loop_;
  Clock* const clock_;
  std::vector<char> scratch_;
  std::unordered_map<uint64_t, ConnectionPtr> connections_;
};

}  // namespace writ
