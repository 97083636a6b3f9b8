// SPDX-License-Identifier: Apache-2.0
#include "core/net/tls_pump.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "core/net/tls_tunnel.h"

namespace writ {
namespace {

constexpr size_t kScratchBytes = 16 << 10;  // one TLS record
// How long an ending connection may take to flush what is left and to hear the peer's goodbye.
constexpr Duration kLinger = std::chrono::seconds(5);
// Edge-triggered in both directions at once: a turn always moves all that it can.
constexpr uint32_t kEverything = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

}  // namespace

struct TlsPump::Connection {
  enum class Phase { kHandshake, kPreface, kOpen, kEnded };

  Connection(std::unique_ptr<TlsSession> session, Fd wire, TlsConnectionOptions options)
      : tunnel(std::move(session), std::move(wire)), options(std::move(options)) {}

  TlsTunnel tunnel;
  const TlsConnectionOptions options;
  Phase phase = Phase::kHandshake;
  bool was_open = false;
  bool deferred = false;
  std::optional<EventLoop::WatchId> wire_watch;
  std::optional<EventLoop::WatchId> plain_watch;
  std::optional<EventLoop::TimerId> timer;  // the deadline; later, the lingering's end
};

TlsPump::TlsPump(EventLoop* loop, Clock* clock)
    : loop_(loop), clock_(clock), scratch_(kScratchBytes) {}

TlsPump::~TlsPump() = default;

void TlsPump::Add(std::unique_ptr<TlsSession> session, Fd wire, TlsConnectionOptions options) {
  MonoTime deadline = options.deadline;
  auto connection =
      std::make_shared<Connection>(std::move(session), std::move(wire), std::move(options));
  CHECK(connections_.emplace(connection->options.id, connection).second);
  Result<EventLoop::WatchId> watch =
      loop_->Watch(connection->tunnel.wire(), kEverything,
                   [this, connection](uint32_t) { OnReady(connection); });
  if (!watch.ok()) {
    End(*connection, watch.status());
    return;
  }
  connection->wire_watch = *watch;
  connection->timer = loop_->At(deadline, [this, connection] {
    connection->timer.reset();
    End(*connection, DeadlineExceeded("the TLS handshake took too long"));
  });
  OnReady(connection);
}

void TlsPump::CloseUnless(const Keep& keep, const Status& why) {
  std::vector<ConnectionPtr> refused;
  for (const auto& [id, connection] : connections_) {
    const std::vector<Certificate>& chain = connection->tunnel.session().peer_chain();
    if (connection->phase == Connection::Phase::kHandshake && chain.empty()) continue;
    if (!keep(connection->options, chain)) refused.push_back(connection);
  }
  for (const ConnectionPtr& connection : refused) End(*connection, why);
}

void TlsPump::CloseAll(const Status& why) {
  while (!connections_.empty()) {
    ConnectionPtr connection = connections_.begin()->second;
    End(*connection, why);
  }
}

void TlsPump::OnReady(const ConnectionPtr& connection) {
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

Result<bool> TlsPump::StepBeforeOpen(Connection& connection) {
  if (connection.phase == Connection::Phase::kPreface) return connection.tunnel.CollectPreface();
  return connection.tunnel.session().Handshake();
}

void TlsPump::Open(const ConnectionPtr& connection) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) {
    End(*connection, ResourceExhausted(std::string("make a socket pair: ") + std::strerror(errno)));
    return;
  }
  Fd ours(ends[0]);
  Fd theirs(ends[1]);
  Result<EventLoop::WatchId> watch =
      loop_->Watch(ours.get(), kEverything, [this, connection](uint32_t) { OnReady(connection); });
  if (!watch.ok()) {
    End(*connection, watch.status());
    return;
  }
  connection->tunnel.Attach(std::move(ours), connection->options.on_plaintext);
  connection->plain_watch = *watch;
  loop_->Cancel(*connection->timer);
  connection->timer.reset();
  connection->phase = Connection::Phase::kOpen;
  connection->was_open = true;
  connection->options.opened(std::move(theirs), connection->tunnel.session().peer_chain());
}

void TlsPump::PumpSome(const ConnectionPtr& connection) {
  TlsTunnel::Progress progress = connection->tunnel.Pump(scratch_);
  if (progress == TlsTunnel::Progress::kEnded) {
    End(*connection, connection->tunnel.failure());
    return;
  }
  if (connection->tunnel.closing() && !connection->timer) {
    connection->timer = loop_->At(clock_->Monotonic() + kLinger, [this, connection] {
      connection->timer.reset();
      End(*connection, OkStatus());
    });
  }
  if (progress == TlsTunnel::Progress::kMore && !std::exchange(connection->deferred, true)) {
    loop_->Defer([this, connection] {
      connection->deferred = false;
      OnReady(connection);
    });
  }
}

void TlsPump::End(Connection& connection, const Status& why) {
  if (std::exchange(connection.phase, Connection::Phase::kEnded) == Connection::Phase::kEnded) {
    return;
  }
  if (connection.wire_watch) loop_->Unwatch(*connection.wire_watch);
  if (connection.plain_watch) loop_->Unwatch(*connection.plain_watch);
  if (connection.timer) loop_->Cancel(*connection.timer);
  connection.options.ended(why, connection.was_open);
  connections_.erase(connection.options.id);
}

}  // namespace writ
