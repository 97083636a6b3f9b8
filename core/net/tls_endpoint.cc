// SPDX-License-Identifier: Apache-2.0
#include "core/net/tls_endpoint.h"

#include <algorithm>
#include <utility>

#include "core/net/call_budget.h"
#include "core/net/listener.h"
#include "core/net/proxied_wire.h"
#include "core/net/tls_session.h"

namespace writ {
namespace {

// Threads that shake hands and pump; a handshake costs about 3 ms of one.
constexpr size_t kLanes = 2;

Peer TlsPeer(uint64_t id, const IpAddress& address, const std::vector<Certificate>& chain) {
  return Peer{.kind = Peer::Kind::kTls,
              .connection_id = id,
              .caller = nullptr,
              .chain = chain,
              .address = address.text()};
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
  auto client = std::make_shared<Client>(Client{*accepted.address, std::move(accepted.place)});
  bool ask_for_header = !options_.proxies.empty();
  if (!ask_for_header && !Claim(*client).ok()) return;
  int fd = accepted.socket.get();
  TuneTcp(fd);
  Result<std::unique_ptr<TlsSession>> session = config.NewSession(fd);
  if (!session.ok()) {
    options_.log->Ended(client->address.text(), session.status(), false);
    return;
  }
  struct Incoming {
    std::unique_ptr<Wire> wire;
    Fd socket;
    std::unique_ptr<ByteWatch> watch;
    PumpedConnection connection;
  };
  auto incoming = std::make_shared<Incoming>();
  incoming->wire = std::move(*session);
  if (ask_for_header) {
    incoming->wire =
        ProxiedWire(std::move(incoming->wire), fd, [this, client](const ProxyHeader& header) {
          return OnProxyHeader(*client, header);
        });
  }
  incoming->socket = std::move(accepted.socket);
  incoming->watch = CallBudget(client->place);
  incoming->connection = Connection(std::move(client), connection_id);
  Lane& lane = lanes_[connection_id % lanes_.size()];
  lane.loop->Post([pump = lane.pump.get(), incoming] {
    pump->Add(std::move(incoming->wire), std::move(incoming->socket), std::move(incoming->watch),
              std::move(incoming->connection));
  });
}

Status TlsEndpoint::Claim(const Client& client) {
  if (client.place->Claim(client.address.ClientName())) return OkStatus();
  options_.log->ShareUsedUp(client.address.text());
  return Cancelled("the client has its share of the connections");
}

Status TlsEndpoint::OnProxyHeader(Client& client, const ProxyHeader& header) {
  if (header.state == ProxyHeader::State::kWhole) {
    auto says = [&](const IpRange& range) { return range.Contains(client.address); };
    if (std::none_of(options_.proxies.begin(), options_.proxies.end(), says)) {
      return PermissionDenied(
          "a PROXY header from an address that is in none of the trusted ranges");
    }
    if (header.source) client.address = *header.source;
  }
  return Claim(client);
}

PumpedConnection TlsEndpoint::Connection(std::shared_ptr<Client> client, uint64_t id) {
  PumpedConnection connection;
  connection.id = id;
  connection.address = std::shared_ptr<const IpAddress>(client, &client->address);
  connection.await_preface = true;
  connection.deadline = options_.clock->Monotonic() + options_.handshake_deadline;
  connection.opened = [this, id, client](Fd plain, const std::vector<Certificate>& chain) {
    options_.opened(std::move(plain),
                    std::make_shared<const Peer>(TlsPeer(id, client->address, chain)));
  };
  connection.ended = [this, id, client](const Status& why, bool was_open) {
    options_.log->Ended(client->address.text(), why, was_open);
    if (was_open) options_.ended(id);
  };
  return connection;
}

void TlsEndpoint::CloseUnless(const std::function<bool(const Peer&)>& keep) {
  for (Lane& lane : lanes_) {
    lane.loop->Run([&] {
      lane.pump->CloseUnless(
          [&](const PumpedConnection& connection, const std::vector<Certificate>& chain) {
            return keep(TlsPeer(connection.id, *connection.address, chain));
          },
          Unauthenticated("the peer's certificate no longer verifies"));
    });
  }
}

void TlsEndpoint::Stop() {
  for (Lane& lane : lanes_) lane.loop->Stop();
}

}  // namespace writ
