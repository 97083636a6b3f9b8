// SPDX-License-Identifier: Apache-2.0
#include "core/net/tls_session.h"

#include <openssl/err.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "core/net/signer_key.h"

namespace writ {
namespace {

// HTTP/2 (RFC 9113, appendix A) forbids the rest in TLS 1.2; TLS 1.3's are all good.
constexpr const char* kTls12Ciphers = "ECDHE+AESGCM:ECDHE+CHACHA20";
constexpr std::string_view kAlpn = "\x02h2";  // a length and the name
constexpr int kPeerChainMax = 10;             // certificates

int SelectAlpn(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
               unsigned int in_size, void*) {
  unsigned char* selected = nullptr;
  if (SSL_select_next_proto(&selected, out_size, AsUnsigned(kAlpn), kAlpn.size(), in, in_size) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *out = selected;
  return SSL_TLSEXT_ERR_OK;
}

Status Present(SSL_CTX* context, const TlsIdentity& identity) {
  if (identity.chain.empty()) return InvalidArgument("a TLS identity needs a certificate");
  if (!(identity.chain.front().public_key() == identity.signer->Public())) {
    return InvalidArgument("a TLS identity's certificate is not for its key");
  }
  EvpPkeyPtr key = TRY(MakeSignerKey(identity.signer));
  X509StackPtr others(sk_X509_new_null());
  if (others == nullptr) return OpensslFailure("collect a TLS identity's chain");
  for (size_t i = 1; i < identity.chain.size(); ++i) {
    if (sk_X509_push(others.get(), identity.chain[i].x509()) <= 0) {
      return OpensslFailure("collect a TLS identity's chain");
    }
  }
  if (SSL_CTX_use_cert_and_key(context, identity.chain.front().x509(), key.get(), others.get(),
                               1) != 1) {
    return OpensslFailure("use a TLS identity");
  }
  return OkStatus();
}

}  // namespace

// Replaces OpenSSL's own path validation; the session stands behind the SSL object.
int VerifyInHandshake(X509_STORE_CTX* store, void*) {
  const SSL* ssl = static_cast<const SSL*>(
      X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* session = static_cast<TlsSession*>(SSL_get_app_data(ssl));
  session->refusal_ = session->VerifyChainOf(store);
  if (session->refusal_.ok()) return 1;
  X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
  return 0;
}

Status TlsSession::VerifyChainOf(X509_STORE_CTX* store) {
  const STACK_OF(X509)* sent = X509_STORE_CTX_get0_untrusted(store);
  int count = sk_X509_num(sent);
  if (count < 1) return Unauthenticated("the peer sent no certificate");
  if (count > kPeerChainMax) {
    return Unauthenticated("the peer sent " + std::to_string(count) + " certificates; at most " +
                           std::to_string(kPeerChainMax) + " are accepted");
  }
  std::vector<Certificate> chain;
  for (int i = 0; i < count; ++i) {
    unsigned char* der = nullptr;
    int size = i2d_X509(sk_X509_value(sent, i), &der);
    if (size <= 0) return OpensslFailure("read the peer's certificate");
    std::string copy(reinterpret_cast<char*>(der), static_cast<size_t>(size));
    OPENSSL_free(der);
    chain.push_back(TRY(Certificate::FromDer(copy), "the peer's certificate"));
  }
  TRY(verify_(chain));
  peer_chain_ = std::move(chain);
  return OkStatus();
}

Result<SslContextPtr> MakeSslContext(TlsSide side, const TlsIdentity* identity) {
  const SSL_METHOD* method = side == TlsSide::kServer ? TLS_server_method() : TLS_client_method();
  SslContextPtr context(SSL_CTX_new(method), SSL_CTX_free);
  if (context == nullptr) return OpensslFailure("make a TLS context");
  SSL_CTX* raw = context.get();
  SSL_CTX_set_options(raw, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                               SSL_OP_CLEANSE_PLAINTEXT);
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(raw, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                            SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_verify(raw, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_cert_verify_callback(raw, VerifyInHandshake, nullptr);
  if (SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION) != 1 ||
      SSL_CTX_set_cipher_list(raw, kTls12Ciphers) != 1 || SSL_CTX_set_num_tickets(raw, 0) != 1) {
    return OpensslFailure("set up a TLS context");
  }
  if (side == TlsSide::kServer) {
    SSL_CTX_set_alpn_select_cb(raw, SelectAlpn, nullptr);
  } else if (SSL_CTX_set_alpn_protos(raw, AsUnsigned(kAlpn), kAlpn.size()) != 0) {
    return OpensslFailure("set up a TLS context");
  }
  if (identity != nullptr) TRY(Present(raw, *identity));
  return context;
}

Result<std::unique_ptr<TlsSession>> TlsSession::Make(TlsSide side, SSL_CTX* context, int socket_fd,
                                                     VerifyPeer verify,
                                                     const std::string& server_name) {
  SslPtr ssl(SSL_new(context));
  if (ssl == nullptr || SSL_set_fd(ssl.get(), socket_fd) != 1) {
    return OpensslFailure("make a TLS session");
  }
  if (!server_name.empty() && SSL_set_tlsext_host_name(ssl.get(), server_name.c_str()) != 1) {
    return OpensslFailure("set the server's name");
  }
  if (side == TlsSide::kServer) {
    SSL_set_accept_state(ssl.get());
  } else {
    SSL_set_connect_state(ssl.get());
  }
  std::unique_ptr<TlsSession> session(new TlsSession(std::move(ssl), std::move(verify)));
  SSL_set_app_data(session->ssl_.get(), session.get());
  return session;
}

Result<bool> TlsSession::Handshake() {
  ERR_clear_error();
  int result = SSL_do_handshake(ssl_.get());
  if (result != 1) {
    int error = SSL_get_error(ssl_.get(), result);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return false;
    if (!refusal_.ok()) return Unauthenticated(refusal_.message());
    if (error == SSL_ERROR_SYSCALL) {
      return Unavailable(std::string("TLS handshake: ") +
                         (errno != 0 ? std::strerror(errno) : "the peer closed the connection"));
    }
    return Unavailable("TLS handshake: " + TakeOpensslError());
  }
  const unsigned char* protocol = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &protocol, &size);
  if (size == 0) return Unavailable("TLS handshake: the peer does not speak HTTP/2 (ALPN h2)");
  return true;
}

int TlsSession::Read(std::span<char> buffer, Status& failure) {
  ERR_clear_error();
  int count = SSL_read(ssl_.get(), buffer.data(), static_cast<int>(buffer.size()));
  if (count > 0) return count;
  switch (SSL_get_error(ssl_.get(), count)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return 0;
    case SSL_ERROR_ZERO_RETURN:
      break;
    case SSL_ERROR_SYSCALL:
      failure = Unavailable(std::string("connection lost: ") + std::strerror(errno));
      break;
    default:
      // An end without TLS's own goodbye is how most programs die; HTTP/2 knows what it missed.
      if (ERR_GET_REASON(ERR_peek_error()) != SSL_R_UNEXPECTED_EOF_WHILE_READING) {
        failure = Unavailable("connection lost: " + TakeOpensslError());
      }
      ERR_clear_error();
  }
  return -1;
}

int TlsSession::Write(std::string_view bytes, Status& failure) {
  ERR_clear_error();
  int sent = SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()));
  if (sent > 0) return sent;
  int error = SSL_get_error(ssl_.get(), sent);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return 0;
  if (error == SSL_ERROR_SYSCALL) {
    failure = Unavailable(std::string("connection lost: ") + std::strerror(errno));
  } else {
    failure = Unavailable("connection lost: " + TakeOpensslError());
  }
  return -1;
}

void TlsSession::EndWriting() {
  ERR_clear_error();
  SSL_shutdown(ssl_.get());  // without an answer we need nothing more
  ERR_clear_error();
}

}  // namespace writ
