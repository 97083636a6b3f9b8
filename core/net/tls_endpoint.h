// SPDX-License-Identifier: Apache-2.0
//
// TlsEndpoint: the TLS side of a server: accepted TCP connections go in, sockets for gRPC with the
// Peer behind them come out.
//
// Threads: Accept and CloseUnless from any thread; the callbacks run on its own loops.
// Lifetime: Stop() before what the callbacks use goes.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/net/acceptor.h"
#include "core/net/connection_log.h"
#include "core/net/grpc_server.h"
#include "core/net/ip.h"
#include "core/net/proxy_header.h"
#include "core/net/pump.h"

namespace writ {

struct TlsEndpointOptions {
  std::string name;
  Duration handshake_deadline;
  std::function<void(Fd plain, std::shared_ptr<const Peer>)> opened;
  std::function<void(uint64_t connection_id)> ended;  // for each `opened`, after it
  std::vector<IpRange> proxies;                       // see GrpcServerOptions
  Clock* clock;                                       // borrowed
  ConnectionLog* log;                                 // borrowed
};

class TlsEndpoint {
 public:
  static Result<std::unique_ptr<TlsEndpoint>> Start(TlsEndpointOptions options);

  void Accept(Accepted accepted, TlsServerConfig& config, uint64_t connection_id);
  // Judges every connection whose peer's chain is verified, those in their handshake too.
  void CloseUnless(const std::function<bool(const Peer&)>& keep);
  void Stop();

 private:
  struct Lane {
    std::unique_ptr<Pump> pump;
    std::unique_ptr<EventLoop> loop;  // ends before the pump goes
  };

  // Who it is, as far as is known before the handshake: the address may be a proxy's at first.
  struct Client {
    IpAddress address;
    std::shared_ptr<ClientLimits::Place> place;
  };

  explicit TlsEndpoint(TlsEndpointOptions options);
  PumpedConnection Connection(std::shared_ptr<Client> client, uint64_t id);
  Status Claim(const Client& client);
  Status OnProxyHeader(Client& client, const ProxyHeader& header);

  const TlsEndpointOptions options_;
  std::vector<Lane> lanes_;  // constant after Start(); a connection stays in its lane
};

}  // namespace writ
