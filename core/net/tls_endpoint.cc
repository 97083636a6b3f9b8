// SPDX-License-Identifier: Apache-2.0
#include "core/net/tls_endpoint.h"

#include <string>
#include <utility>

#include "core/net/call_budget.h"
#include "core/net/listener.h"
#include "core/net/tls_session.h"

namespace writ {
namespace {

// Threads that shake hands and pump; a handshake costs about 3 ms of one.
constexpr size_t kLanes = 2;

Peer TlsPeer(const PumpedConnection& connection, const std::vector<Certificate>& chain) {
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
    lane.pump = std::make_unique<Pump>(lane.loop.get(), endpoint->options_.clock);
    endpoint->lanes_.push_back(std::move(lane));
  }
  return endpoint;
}

TlsEndpoint::TlsEndpoint(TlsEndpointOptions options) : options_(std::move(options)) {}

void TlsEndpoint::Accept(Accepted accepted, TlsServerConfig& config, uint64_t connection_id) {
  std::string address = accepted.address->text();
  if (!accepted.place->Claim(accepted.address->ClientName())) {
    options_.log->ShareUsedUp(address);
    return;
  }
  TuneTcp(accepted.socket.get());
  Result<std::unique_ptr<TlsSession>> session = config.NewSession(accepted.socket.get());
  if (!session.ok()) {
    options_.log->Ended(address, session.status(), false);
    return;
  }
  struct Incoming {
    std::unique_ptr<TlsSession> session;
    Fd socket;
    std::unique_ptr<ByteWatch> watch;
    PumpedConnection connection;
  };
  auto incoming = std::make_shared<Incoming>();
  incoming->session = std::move(*session);
  incoming->socket = std::move(accepted.socket);
  incoming->connection = Connection(address, accepted.place, connection_id);
  incoming->watch = CallBudget(std::move(accepted.place));
  Lane& lane = lanes_[connection_id % lanes_.size()];
  lane.loop->Post([pump = lane.pump.get(), incoming] {
    pump->Add(std::move(incoming->session), std::move(incoming->socket),
              std::move(incoming->watch), std::move(incoming->connection));
  });
}

PumpedConnection TlsEndpoint::Connection(const std::string& address,
                                         std::shared_ptr<ClientLimits::Place> place, uint64_t id) {
  PumpedConnection connection;
  connection.id = id;
  connection.address = address;
  connection.await_preface = true;
  connection.deadline = options_.clock->Monotonic() + options_.handshake_deadline;
  connection.opened = [this, id, address](Fd plain, const std::vector<Certificate>& chain) {
    PumpedConnection named{.id = id, .address = address};
    options_.opened(std::move(plain), std::make_shared<const Peer>(TlsPeer(named, chain)));
  };
  connection.ended = [this, id, address, place = std::move(place)](const Status& why,
                                                                   bool was_open) {
    options_.log->Ended(address, why, was_open);
    if (was_open) options_.ended(id);
  };
  return connection;
}

void TlsEndpoint::CloseUnless(const std::function<bool(const Peer&)>& keep) {
  for (Lane& lane : lanes_) {
    lane.loop->Run([&] {
      lane.pump->CloseUnless(
          [&](const PumpedConnection& connection, const std::vector<Certificate>& chain) {
            return keep(TlsPeer(connection, chain));
          },
          Unauthenticated("the peer's certificate no longer verifies"));
    });
  }
}

void TlsEndpoint::Stop() {
  for (Lane& lane : lanes_) lane.loop->Stop();
}

}  // namespace writ
