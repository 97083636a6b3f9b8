// SPDX-License-Identifier: Apache-2.0
#include "core/net/tls_endpoint.h"

#include <string>
#include <utility>

#include "core/net/listener.h"
#include "core/net/tls_session.h"

namespace writ {
namespace {

// Threads that shake hands and pump; a handshake costs about 3 ms of one.
constexpr size_t kLanes = 2;

Peer TlsPeer(const TlsConnectionOptions& connection, const std::vector<Certificate>& chain) {
  return Peer{.kind = Peer::Kind::kTls,
              .connection_id = connection.id,
              .caller = nullptr,
              .chain = chain,
              .address = connection.address};
}

}  // namespace

Result<std::unique_ptr<TlsEndpoint>> TlsEndpoint::Start(TlsEndpointOptions options) {
  std::unique_ptr<TlsEndpoint> endpoint(new TlsEndpoint(std::move(options)));
  for (size_t i = 0; i < kLanes; ++i) {
    Lane lane;
    lane.loop = TRY(EventLoop::Start(endpoint->options_.name + "-tls", endpoint->options_.clock));
    lane.pump = std::make_unique<TlsPump>(lane.loop.get(), endpoint->options_.clock);
    endpoint->lanes_.push_back(std::move(lane));
  }
  return endpoint;
}

TlsEndpoint::TlsEndpoint(TlsEndpointOptions options)
    : options_(std::move(options)), refusals_(options_.clock) {}

void TlsEndpoint::Accept(Accepted accepted, TlsServerConfig& config, uint64_t connection_id) {
  TuneTcp(accepted.socket.get());
  Result<std::unique_ptr<TlsSession>> session = config.NewSession(accepted.socket.get());
  if (!session.ok()) {
    LogEnd(accepted.address, session.status(), false);
    return;
  }
  struct Incoming {
    std::unique_ptr<TlsSession> session;
    Fd socket;
    TlsConnectionOptions connection;
  };
  TlsConnectionOptions connection = Connection(accepted, connection_id);
  auto incoming = std::make_shared<Incoming>(
      Incoming{std::move(*session), std::move(accepted.socket), std::move(connection)});
  Lane& lane = lanes_[connection_id % lanes_.size()];
  lane.loop->Post([pump = lane.pump.get(), incoming] {
    pump->Add(std::move(incoming->session), std::move(incoming->socket),
              std::move(incoming->connection));
  });
}

TlsConnectionOptions TlsEndpoint::Connection(const Accepted& accepted, uint64_t id) {
  TlsConnectionOptions connection;
  connection.id = id;
  connection.address = accepted.address;
  connection.await_preface = true;
  connection.deadline = options_.clock->Monotonic() + options_.handshake_deadline;
  connection.opened = [this, id, address = accepted.address](
                          Fd plain, const std::vector<Certificate>& chain) {
    TlsConnectionOptions named{.id = id, .address = address};
    options_.opened(std::move(plain), std::make_shared<const Peer>(TlsPeer(named, chain)));
  };
  connection.ended = [this, id, address = accepted.address, slot = accepted.slot](const Status& why,
                                                                                  bool was_open) {
    LogEnd(address, why, was_open);
    if (was_open) options_.ended(id);
  };
  return connection;
}

void TlsEndpoint::CloseUnless(const std::function<bool(const Peer&)>& keep) {
  for (Lane& lane : lanes_) {
    lane.loop->Run([&] {
      lane.pump->CloseUnless(
          [&](const TlsConnectionOptions& connection, const std::vector<Certificate>& chain) {
            return keep(TlsPeer(connection, chain));
          },
          Unauthenticated("the peer's certificate no longer verifies"));
    });
  }
}

void TlsEndpoint::Stop() {
  for (Lane& lane : lanes_) lane.loop->Stop();
}

// A refused peer is worth a warning, which a flood of them must not repeat; the rest is everyday.
void TlsEndpoint::LogEnd(const std::string& address, const Status& why, bool was_open) {
  if (why.ok()) return;
  Log::Fields fields = {{"listener", options_.name}, {"peer", address}, {"reason", why}};
  bool refused = why.code() == Code::kUnauthenticated;
  if (refused && refusals_.Due()) {
    options_.log->Warn("TLS peer refused", fields);
  } else {
    options_.log->Debug(was_open ? "Connection ended" : "TLS handshake failed", fields);
  }
}

}  // namespace writ
