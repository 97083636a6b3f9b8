// SPDX-License-Identifier: Apache-2.0
//
// GrpcServer: one gRPC server whose connections we accept, authenticate and hand over ourselves
// (plain Unix sockets and TLS on TCP by one mechanism). A handler asks PeerOf() who is calling.
//
// Life of a connection: accept -> identify (kernel credentials, or TLS handshake and verification)
// -> first bytes seen, within a deadline -> registered under the descriptor that gRPC will own ->
// AddInsecureChannelFromFd. In a handler `context->peer()` is "fd:N".
//
// Threads: thread-safe. Lifetime: Shutdown() before destruction ends every connection.
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/status.h"
#include "core/crypto/x509.h"
#include "core/net/ip.h"
#include "core/net/listener.h"
#include "core/net/peer.h"
#include "core/net/tls.h"

namespace writ {

// Who is at the other end of a connection. Immutable.
struct Peer {
  enum class Kind { kUnix, kTls };
  Kind kind;
  uint64_t connection_id;                // unique in this process
  std::shared_ptr<const Caller> caller;  // kUnix
  std::vector<Certificate> chain;        // kTls: as sent, verified at the handshake; may be empty
  std::string address;                   // kTls: remote IP, no port: the rate limit's key
};

struct TcpListenerOptions {
  std::string address;  // "0.0.0.0:8081", "[::1]:8081"
  std::shared_ptr<TlsServerConfig> tls;
};

struct GrpcServerOptions {
  std::string name;                      // for logs: "workload", "admin", "tcp"
  std::vector<grpc::Service*> services;  // borrowed
  bool reflection = false;               // of all services of this server
  std::vector<UnixListenerOptions> unix_listeners;
  std::vector<TcpListenerOptions> tcp_listeners;
  Duration handshake_deadline = std::chrono::seconds(10);
  // With 10 % jitter, and only where there is a TCP listener: a TLS peer proves itself again.
  Duration connection_age_max = std::chrono::minutes(30);
  size_t message_bytes_max = 4 << 20;
  size_t connections_max = 20000;
  // Who may say in a PROXY header whose TCP connection it is; such a header from anyone else ends
  // its connection. Connections without one are served from anywhere.
  std::vector<IpRange> proxies;
  PeerPidfd peer_pidfd = KernelPeerPidfd();
  Clock* clock;  // borrowed
  Log* log;      // borrowed
};

class GrpcServer {
 public:
  virtual ~GrpcServer() = default;
  static Result<std::unique_ptr<GrpcServer>> Start(GrpcServerOptions options);

  // Null when the client has left already: answer UNAVAILABLE. Copy at the handler's start.
  virtual std::shared_ptr<const Peer> PeerOf(const grpc::ServerContextBase& context) const = 0;
  // The port that a TCP listener got (for address ":0"), by its place in the options.
  virtual int TcpPort(size_t listener) const = 0;
  virtual size_t ConnectionCount() const = 0;
  // Closes every TLS connection for which `keep` is false: called on bundle changes with the chain
  // rules. Handshakes in progress count; when it returns, every one that verified before is judged.
  // Not with a lock held that VerifyPeer takes.
  virtual void CloseConnections(const std::function<bool(const Peer&)>& keep) = 0;
  // No new connections; running calls get until the deadline, then are cancelled.
  virtual void Shutdown(MonoTime deadline) = 0;
};

// Raises the soft limit of open descriptors to the hard one: for main(), before Start().
Status RaiseFileLimit();

// Status <-> grpc::Status, code for code.
grpc::Status ToGrpc(const Status& status);
Status FromGrpc(const grpc::Status& status);

}  // namespace writ
