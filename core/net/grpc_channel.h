// SPDX-License-Identifier: Apache-2.0
//
// TlsChannel: a gRPC channel to a server over our own TLS, reconnecting by itself at the next call
// after a loss. Connect, resolve, handshake and pump are ours; gRPC sees one end of a socketpair.
//
// Threads: thread-safe.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/status.h"
#include "core/net/tls.h"

namespace writ {

class TlsChannel {
 public:
  virtual ~TlsChannel() = default;
  static std::unique_ptr<TlsChannel> Make(TlsClientOptions options, Clock* clock, Log* log);

  // A connected channel: the current one, or a new connection when that one is lost, was dropped
  // or takes no new calls any more (GOAWAY). Of a loss a caller may also learn first, by
  // UNAVAILABLE: it says so with DropLost(). Never GetState() or WaitForStateChange() on it: gRPC
  // aborts the process.
  // Unavailable when the server is away; PermissionDenied-free: a refused handshake is Unavailable
  // with OpenSSL's reason, a refused server certificate is Unauthenticated with the verifier's.
  // Blocks for at most the connect deadline; Cancelled when
  // stopped.
  virtual Result<std::shared_ptr<grpc::Channel>> Get() = 0;
  // The next Get() connects anew (new identity). Running calls go on.
  virtual void Drop() = 0;
  // Likewise, unless the current channel is another than `lost` by now.
  virtual void DropLost(const std::shared_ptr<grpc::Channel>& lost) = 0;
};

// A channel to a Unix socket: for the CLI and for tests ("unix:/path" works natively).
std::shared_ptr<grpc::Channel> UnixChannel(const std::string& path);

}  // namespace writ
