// SPDX-License-Identifier: Apache-2.0
#include "core/net/pump.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

namespace writ {
namespace {

constexpr size_t kScratchBytes = 16 << 10;  // one TLS record
// How long an ending connection may take to flush what is left and to hear the peer's goodbye.
constexpr Duration kLinger = std::chrono::seconds(5);
// Edge-triggered: a turn always moves all that it can. A Unix socket tells of each read by its peer
// as of room to write; that is asked for only while something waits for room.
constexpr uint32_t kReading = EPOLLIN | EPOLLRDHUP | EPOLLET;
constexpr uint32_t kEverything = kReading | EPOLLOUT;

}  // namespace

struct Pump::Connection {
  enum class Phase { kHandshake, kPreface, kOpen, kEnded };

  Connection(std::unique_ptr<Wire> wire, Fd socket, std::unique_ptr<ByteWatch> watch,
             PumpedConnection options)
      : tunnel(std::move(wire), std::move(socket), std::move(watch)),
        options(std::move(options)) {}

  Tunnel tunnel;
  const PumpedConnection options;
  Phase phase = Phase::kHandshake;
  bool was_open = false;
  bool deferred = false;
  bool socket_armed = true;  // for writing too
  bool plain_armed = false;
  std::optional<EventLoop::WatchId> socket_watch;
  std::optional<EventLoop::WatchId> plain_watch;
  std::optional<EventLoop::TimerId> timer;  // the deadline; later, the lingering's end
};

Pump::Pump(EventLoop* loop, Clock* clock)
    : loop_(loop), clock_(clock), scratch_(kScratchBytes) {}

Pump::~Pump() = default;

void Pump::Add(std::unique_ptr<Wire> wire, Fd socket, std::unique_ptr<ByteWatch> watch,
               PumpedConnection options) {
  MonoTime deadline = options.deadline;
  auto connection = std::make_shared<Connection>(std::move(wire), std::move(socket),
                                                 std::move(watch), std::move(options));
  CHECK(connections_.emplace(connection->options.id, connection).second);
  Result<EventLoop::WatchId> watched =
      loop_->Watch(connection->tunnel.socket(), kEverything, [this, connection](uint32_t events) {
        connection->tunnel.SocketReady(events);
        OnReady(connection);
      });
  if (!watched.ok()) {
    End(*connection, watched.status());
    return;
  }
  connection->socket_watch = *watched;
  connection->timer = loop_->At(deadline, [this, connection] {
    connection->timer.reset();
    End(*connection, DeadlineExceeded("the connection took too long to begin"));
  });
  OnReady(connection);
}

void Pump::CloseUnless(const Keep& keep, const Status& why) {
  std::vector<ConnectionPtr> refused;
  for (const auto& [id, connection] : connections_) {
    const std::vector<Certificate>& chain = connection->tunnel.wire().peer_chain();
    if (connection->phase == Connection::Phase::kHandshake && chain.empty()) continue;
    if (!keep(connection->options, chain)) refused.push_back(connection);
  }
  for (const ConnectionPtr& connection : refused) End(*connection, why);
}

void Pump::CloseAll(const Status& why) {
  while (!connections_.empty()) {
    ConnectionPtr connection = connections_.begin()->second;
    End(*connection, why);
  }
}

void Pump::OnReady(const ConnectionPtr& connection) {
  while (connection->phase == Connection::Phase::kHandshake ||
         connection->phase == Connection::Phase::kPreface) {
    Result<bool> done = StepBeforeOpen(*connection);
    if (!done.ok()) {
      End(*connection, done.status());
      return;
    }
    if (!*done) return;
    bool handshaken = connection->phase == Connection::Phase::kHandshake;
    if (handshaken && connection->options.await_preface) {
      connection->phase = Connection::Phase::kPreface;
    } else {
      Open(connection);
    }
  }
  if (connection->phase == Connection::Phase::kOpen) PumpSome(connection);
}

Result<bool> Pump::StepBeforeOpen(Connection& connection) {
  if (connection.phase == Connection::Phase::kPreface) return connection.tunnel.CollectPreface();
  return connection.tunnel.wire().Handshake();
}

void Pump::Open(const ConnectionPtr& connection) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) {
    End(*connection, ResourceExhausted(std::string("make a socket pair: ") + std::strerror(errno)));
    return;
  }
  Fd ours(ends[0]);
  Fd theirs(ends[1]);
  Result<EventLoop::WatchId> watched =
      loop_->Watch(ours.get(), kReading, [this, connection](uint32_t events) {
        connection->tunnel.PlainReady(events);
        OnReady(connection);
      });
  if (!watched.ok()) {
    End(*connection, watched.status());
    return;
  }
  connection->tunnel.Attach(std::move(ours));
  connection->plain_watch = *watched;
  loop_->Cancel(*connection->timer);
  connection->timer.reset();
  connection->phase = Connection::Phase::kOpen;
  connection->was_open = true;
  connection->options.opened(std::move(theirs), connection->tunnel.wire().peer_chain());
}

void Pump::PumpSome(const ConnectionPtr& connection) {
  Tunnel::Progress progress = connection->tunnel.Pump(scratch_);
  if (progress == Tunnel::Progress::kEnded) {
    End(*connection, connection->tunnel.failure());
    return;
  }
  Arm(*connection);
  if (connection->tunnel.closing() && !connection->timer) {
    connection->timer = loop_->At(clock_->Monotonic() + kLinger, [this, connection] {
      connection->timer.reset();
      End(*connection, OkStatus());
    });
  }
  if (progress == Tunnel::Progress::kMore && !std::exchange(connection->deferred, true)) {
    loop_->Defer([this, connection] {
      connection->deferred = false;
      OnReady(connection);
    });
  }
}

void Pump::Arm(Connection& connection) {
  auto arm = [this](EventLoop::WatchId id, bool& armed, bool wanted) {
    if (std::exchange(armed, wanted) != wanted) loop_->Rearm(id, wanted ? kEverything : kReading);
  };
  arm(*connection.socket_watch, connection.socket_armed, connection.tunnel.AwaitsSocketRoom());
  arm(*connection.plain_watch, connection.plain_armed, connection.tunnel.AwaitsPlainRoom());
}

void Pump::End(Connection& connection, const Status& why) {
  if (std::exchange(connection.phase, Connection::Phase::kEnded) == Connection::Phase::kEnded) {
    return;
  }
  if (connection.socket_watch) loop_->Unwatch(*connection.socket_watch);
  if (connection.plain_watch) loop_->Unwatch(*connection.plain_watch);
  if (connection.timer) loop_->Cancel(*connection.timer);
  connection.options.ended(why, connection.was_open);
  connections_.erase(connection.options.id);
}

}  // namespace writ
