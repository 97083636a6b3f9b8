// SPDX-License-Identifier: Apache-2.0
//
// TlsSession: OpenSSL's state of one connection, with the verification of the peer's chain by a
// VerifyPeer in the middle of its handshake. The rules that both sides share stand here: versions,
// ciphers, ALPN "h2", no tickets, no renegotiation, no resumption.
//
// Trust: everything from the peer is hostile. Threads: a session is one thread's at a time.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/crypto/openssl.h"
#include "core/crypto/x509.h"
#include "core/net/tls.h"
#include "core/net/wire.h"

namespace writ {

using SslPtr = std::unique_ptr<SSL, OpensslFree<SSL_free>>;
using SslContextPtr = std::shared_ptr<SSL_CTX>;

enum class TlsSide { kServer, kClient };

// A context that presents `identity` (a client may have none). InvalidArgument when the chain is
// empty or its leaf is not the signer's.
Result<SslContextPtr> MakeSslContext(TlsSide side, const TlsIdentity* identity);

class TlsSession final : public Wire {
 public:
  // `socket_fd` stays the caller's. `server_name` is for a client's SNI; "" sends none.
  static Result<std::unique_ptr<TlsSession>> Make(TlsSide side, SSL_CTX* context, int socket_fd,
                                                  VerifyPeer verify,
                                                  const std::string& server_name = "");

  // One step of a non-blocking handshake: true when it is done, false when it waits for the socket.
  // Unauthenticated when `verify` refused the peer, Unavailable for all else that ends it.
  Result<bool> Handshake() override;

  const std::vector<Certificate>& peer_chain() const override { return peer_chain_; }
  int Read(std::span<char> buffer, Status& failure) override;
  int Write(std::string_view bytes, Status& failure) override;
  bool ShortReadDrains() const override { return false; }
  void EndWriting() override;
  SSL* ssl() const { return ssl_.get(); }

 private:
  TlsSession(SslPtr ssl, VerifyPeer verify) : ssl_(std::move(ssl)), verify_(std::move(verify)) {}
  friend int VerifyInHandshake(X509_STORE_CTX* store, void*);
  Status VerifyChainOf(X509_STORE_CTX* store);

  const SslPtr ssl_;
  const VerifyPeer verify_;
  std::vector<Certificate> peer_chain_;
  Status refusal_;
};

}  // namespace writ
