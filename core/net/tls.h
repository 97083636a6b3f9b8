// SPDX-License-Identifier: Apache-2.0
//
// TLS terminated by ourselves with OpenSSL, because no way of gRPC's has all of: a certificate
// reload for each handshake, an optional client certificate on one port, verification against the
// CURRENT bundle with the SPIFFE rules, the chain for the handler, and private keys that never
// leave their Signer (a TPM, a token).
//
// TLS 1.2 and up, ALPN "h2", no tickets, no renegotiation, no CA list sent.
// Threads: the config classes are thread-safe: Set* while handshakes run.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/crypto/signer.h"
#include "core/crypto/x509.h"

namespace writ {

class TlsSession;  // tls_session.h, inside core/net

// What one side presents: chain leaf first, and the Signer of the leaf's key.
struct TlsIdentity {
  std::vector<Certificate> chain;
  std::shared_ptr<Signer> signer;
};

// Decides about the peer's chain (leaf first; never empty) during the handshake. A failure ends the
// handshake, its message is logged.
using VerifyPeer = std::function<Status(const std::vector<Certificate>& chain)>;

// The server side. A new identity is used by every handshake that begins after SetIdentity.
class TlsServerConfig {
 public:
  // A client certificate is asked for, not required; when one comes, `verify` decides.
  static Result<std::shared_ptr<TlsServerConfig>> Make(TlsIdentity identity, VerifyPeer verify);
  virtual ~TlsServerConfig() = default;
  virtual Status SetIdentity(TlsIdentity identity) = 0;
  // A server's half of a connection on `socket_fd` (borrowed), with the identity of now.
  virtual Result<std::unique_ptr<TlsSession>> NewSession(int socket_fd) = 0;
};

struct TlsClientOptions {
  std::string address;  // "host:port"
  // Nothing: no client certificate (attestation). Asked at each connect.
  std::function<std::optional<TlsIdentity>()> identity;
  VerifyPeer verify;
  Duration connect_deadline = std::chrono::seconds(10);
  std::stop_token stop;  // ends a connect that is under way: Get() answers Cancelled
};

}  // namespace writ
