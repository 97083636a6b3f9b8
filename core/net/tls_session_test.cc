// SPDX-License-Identifier: Apache-2.0
//
// Handshakes of both sides with keys that only sign, and what is refused in them.
#include "core/net/tls_session.h"

#include <gtest/gtest.h>
#include <openssl/provider.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "core/base/file.h"
#include "core/net/signer_key.h"
#include "core/net/test_tls.h"

namespace writ {
namespace {

constexpr int kStepsMax = 100;

// Two ends of a connection, stepped in turn by one thread.
struct Pair {
  Pair() {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    server_socket = Fd(ends[0]);
    client_socket = Fd(ends[1]);
  }
  void Make(SSL_CTX* server_context, VerifyPeer server_verify, SSL_CTX* client_context,
            VerifyPeer client_verify) {
    server = TlsSession::Make(TlsSide::kServer, server_context, server_socket.get(),
                              std::move(server_verify))
                 .value();
    client = TlsSession::Make(TlsSide::kClient, client_context, client_socket.get(),
                              std::move(client_verify), "writ-server")
                 .value();
  }
  // Until both sides are done or have failed.
  void Shake() {
    bool server_over = false;
    bool client_over = false;
    for (int i = 0; i < kStepsMax && !(server_over && client_over); ++i) {
      if (!client_over) client_over = Step(*client, client_status);
      if (!server_over) server_over = Step(*server, server_status);
      // A side that has failed leaves.
      if (server_over && !server_status.ok()) shutdown(server_socket.get(), SHUT_RDWR);
      if (client_over && !client_status.ok()) shutdown(client_socket.get(), SHUT_RDWR);
    }
    EXPECT_TRUE(server_over && client_over);
  }
  static bool Step(TlsSession& session, Status& status) {
    Result<bool> done = session.Handshake();
    status = done.status();
    return !done.ok() || *done;
  }

  Fd server_socket;
  Fd client_socket;
  std::unique_ptr<TlsSession> server;
  std::unique_ptr<TlsSession> client;
  Status server_status;
  Status client_status;
};

class SignerHandshakeTest : public ::testing::TestWithParam<std::tuple<KeyType, int>> {};

INSTANTIATE_TEST_SUITE_P(KeysAndVersions, SignerHandshakeTest,
                         ::testing::Combine(::testing::Values(KeyType::kEcP256, KeyType::kEcP384,
                                                              KeyType::kRsa2048),
                                            ::testing::Values(TLS1_2_VERSION, TLS1_3_VERSION)));

TEST_P(SignerHandshakeTest, BothSidesWorkWithKeysThatOnlySign) {
  auto [type, version] = GetParam();
  TestCa ca;
  auto server_key = std::make_shared<OpaqueSigner>(type);
  auto client_key = std::make_shared<OpaqueSigner>(type);
  TlsIdentity server_identity = ca.Issue("spiffe://example.org/server", server_key);
  TlsIdentity client_identity = ca.Issue("spiffe://example.org/client", client_key);
  SslContextPtr server = *MakeSslContext(TlsSide::kServer, &server_identity);
  SslContextPtr client = *MakeSslContext(TlsSide::kClient, &client_identity);
  ASSERT_EQ(SSL_CTX_set_max_proto_version(client.get(), version), 1);
  Pair pair;
  pair.Make(server.get(), ca.Verifier(), client.get(), ca.Verifier());
  pair.Shake();
  ASSERT_TRUE(pair.server_status.ok()) << pair.server_status.ToString();
  ASSERT_TRUE(pair.client_status.ok()) << pair.client_status.ToString();
  EXPECT_EQ(SSL_version(pair.client->ssl()), version);
  EXPECT_EQ(server_key->signatures(), 1);
  EXPECT_EQ(client_key->signatures(), 1);
  ASSERT_EQ(pair.server->peer_chain().size(), 1u);
  EXPECT_EQ(pair.server->peer_chain()[0], client_identity.chain[0]);
  EXPECT_EQ(pair.client->peer_chain()[0], server_identity.chain[0]);
}

TEST(SignerKeyTest, ThereIsNothingToExport) {
  for (KeyType type : {KeyType::kEcP256, KeyType::kRsa2048}) {
    EvpPkeyPtr key = *MakeSignerKey(std::make_shared<OpaqueSigner>(type));
    EXPECT_LE(i2d_PrivateKey(key.get(), nullptr), 0);
    OSSL_PARAM* params = nullptr;
    EXPECT_NE(EVP_PKEY_todata(key.get(), EVP_PKEY_KEYPAIR, &params), 1);
    ERR_clear_error();
  }
}

TEST(SignerKeyTest, OtherKeysOfTheProcessAreNotTouched) {
  EvpPkeyPtr ours = *MakeSignerKey(std::make_shared<OpaqueSigner>(KeyType::kEcP256));
  EvpPkeyPtr other(EVP_EC_gen("P-256"));
  ASSERT_NE(other, nullptr);
  EXPECT_GT(i2d_PrivateKey(other.get(), nullptr), 0);
  EXPECT_STREQ(OSSL_PROVIDER_get0_name(EVP_PKEY_get0_provider(other.get())), "default");
}

class TlsSessionTest : public ::testing::Test {
 protected:
  TestCa ca_;
  TestCa other_ca_;
  TlsIdentity server_identity_ = ca_.Issue("spiffe://example.org/server");
  SslContextPtr server_ = *MakeSslContext(TlsSide::kServer, &server_identity_);
  SslContextPtr client_ = *MakeSslContext(TlsSide::kClient, nullptr);
  Pair pair_;
};

TEST_F(TlsSessionTest, AClientWithoutCertificateIsWelcome) {
  pair_.Make(server_.get(), ca_.Verifier(), client_.get(), ca_.Verifier());
  pair_.Shake();
  EXPECT_TRUE(pair_.server_status.ok());
  EXPECT_TRUE(pair_.client_status.ok());
  EXPECT_TRUE(pair_.server->peer_chain().empty());
  EXPECT_STREQ(SSL_get_servername(pair_.server->ssl(), TLSEXT_NAMETYPE_host_name), "writ-server");
  EXPECT_EQ(SSL_get0_peer_CA_list(pair_.client->ssl()), nullptr);
}

TEST_F(TlsSessionTest, AClientCertificateThatDoesNotVerifyIsRefusedWithTheReason) {
  TlsIdentity stranger = other_ca_.Issue("spiffe://example.org/client");
  SslContextPtr client = *MakeSslContext(TlsSide::kClient, &stranger);
  pair_.Make(
      server_.get(), [](const auto&) { return PermissionDenied("not of our making"); },
      client.get(), ca_.Verifier());
  pair_.Shake();
  EXPECT_EQ(pair_.server_status, Unauthenticated("not of our making"));
  EXPECT_TRUE(pair_.server->peer_chain().empty());
}

TEST_F(TlsSessionTest, AServerCertificateThatDoesNotVerifyIsUnauthenticated) {
  pair_.Make(server_.get(), ca_.Verifier(), client_.get(), other_ca_.Verifier());
  pair_.Shake();
  EXPECT_EQ(pair_.client_status.code(), Code::kUnauthenticated);
  EXPECT_EQ(pair_.server_status.code(), Code::kUnavailable);
}

TEST_F(TlsSessionTest, OldVersionsAreRefused) {
  SSL_CTX_set_min_proto_version(client_.get(), TLS1_1_VERSION);
  SSL_CTX_set_max_proto_version(client_.get(), TLS1_1_VERSION);
  SSL_CTX_set_security_level(client_.get(), 0);
  pair_.Make(server_.get(), ca_.Verifier(), client_.get(), ca_.Verifier());
  pair_.Shake();
  EXPECT_EQ(pair_.server_status.code(), Code::kUnavailable);
}

TEST_F(TlsSessionTest, APeerWithoutHttp2IsRefused) {
  ASSERT_EQ(SSL_CTX_set_alpn_protos(client_.get(), nullptr, 0), 0);
  pair_.Make(server_.get(), ca_.Verifier(), client_.get(), ca_.Verifier());
  pair_.Shake();
  EXPECT_NE(pair_.server_status.message().find("ALPN h2"), std::string::npos);
}

TEST_F(TlsSessionTest, AnotherProtocolIsRefused) {
  const unsigned char other[] = "\x08http/1.1";
  ASSERT_EQ(SSL_CTX_set_alpn_protos(client_.get(), other, sizeof other - 1), 0);
  pair_.Make(server_.get(), ca_.Verifier(), client_.get(), ca_.Verifier());
  pair_.Shake();
  EXPECT_EQ(pair_.server_status.code(), Code::kUnavailable);
}

TEST_F(TlsSessionTest, AChainThatIsTooLongIsRefused) {
  TlsIdentity identity = ca_.Issue("spiffe://example.org/client");
  while (identity.chain.size() <= 10) identity.chain.push_back(identity.chain.front());
  SslContextPtr client = *MakeSslContext(TlsSide::kClient, &identity);
  pair_.Make(server_.get(), AcceptAnyPeer, client.get(), ca_.Verifier());
  pair_.Shake();
  EXPECT_EQ(pair_.server_status.code(), Code::kUnauthenticated);
  EXPECT_NE(pair_.server_status.message().find("11 certificates"), std::string::npos);
}

TEST_F(TlsSessionTest, NoTicketIsGivenOut) {
  pair_.Make(server_.get(), ca_.Verifier(), client_.get(), ca_.Verifier());
  pair_.Shake();
  char byte;
  EXPECT_LE(SSL_read(pair_.client->ssl(), &byte, 1), 0);  // would process tickets
  EXPECT_EQ(SSL_SESSION_has_ticket(SSL_get_session(pair_.client->ssl())), 0);
  ERR_clear_error();
}

TEST_F(TlsSessionTest, ASignerThatFailsEndsTheHandshakeCleanly) {
  auto signer = std::make_shared<OpaqueSigner>(KeyType::kEcP256);
  TlsIdentity identity = ca_.Issue("spiffe://example.org/server", signer);
  SslContextPtr server = *MakeSslContext(TlsSide::kServer, &identity);
  signer->Break();
  pair_.Make(server.get(), ca_.Verifier(), client_.get(), ca_.Verifier());
  pair_.Shake();
  EXPECT_EQ(pair_.server_status.code(), Code::kUnavailable);
  EXPECT_EQ(pair_.client_status.code(), Code::kUnavailable);
}

TEST_F(TlsSessionTest, GarbageEndsTheHandshake) {
  pair_.Make(server_.get(), ca_.Verifier(), client_.get(), ca_.Verifier());
  ASSERT_GT(send(pair_.client_socket.get(), "GET / HTTP/1.1\r\n\r\n", 18, 0), 0);
  EXPECT_EQ(pair_.server->Handshake().code(), Code::kUnavailable);
}

TEST_F(TlsSessionTest, IdentitiesThatDoNotFitAreRefused) {
  TlsIdentity empty{{}, server_identity_.signer};
  EXPECT_EQ(MakeSslContext(TlsSide::kServer, &empty).code(), Code::kInvalidArgument);
  TlsIdentity mixed{server_identity_.chain, std::make_shared<OpaqueSigner>(KeyType::kEcP256)};
  EXPECT_EQ(MakeSslContext(TlsSide::kServer, &mixed).code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace writ
