// SPDX-License-Identifier: Apache-2.0
#include "agent/client/convert.h"

#include <gtest/gtest.h>

#include "core/crypto/jws.h"
#include "core/keys/key_manager.h"
#include "test/fake/fake_clock.h"
#include "test/fake/fake_server.h"

namespace writ {
namespace {

class ConvertTest : public testing::Test {
 protected:
  spire::api::types::Bundle MakeBundle() {
    spire::api::types::Bundle proto;
    proto.set_trust_domain("example.org");
    proto.set_sequence_number(7);
    auto* authority = proto.add_x509_authorities();
    authority->set_asn1(authority_.x509[0].certificate.der());
    authority->set_tainted(true);
    auto* key = proto.add_jwt_authorities();
    key->set_key_id("kid");
    key->set_public_key(authority_.x509[0].certificate.public_key().spki());
    key->set_expires_at(99);
    return proto;
  }

  FakeClock clock_;
  SeededRandom random_{5};
  const TrustDomain td_ = *TrustDomain::Parse("example.org");
  const Bundle authority_ = FakeServer(td_, &clock_, &random_).CurrentBundle();
};

TEST_F(ConvertTest, TakesABundle) {
  Result<Bundle> bundle = BundleFromProto(MakeBundle(), td_);
  ASSERT_TRUE(bundle.ok()) << bundle.status().ToString();
  EXPECT_EQ(bundle->sequence_number, 7u);
  ASSERT_EQ(bundle->x509.size(), 1u);
  EXPECT_TRUE(bundle->x509[0].tainted);
  ASSERT_EQ(bundle->jwt.size(), 1u);
  EXPECT_EQ(bundle->jwt[0].key_id, "kid");
  EXPECT_EQ(bundle->jwt[0].expires_at, 99);
}

TEST_F(ConvertTest, OneAuthorityThatCannotBeUsedDoesNotKeepTheOthersAway) {
  spire::api::types::Bundle proto = MakeBundle();
  proto.add_x509_authorities()->set_asn1("junk");
  auto* key = proto.add_jwt_authorities();
  key->set_key_id("weak");
  key->set_public_key("junk");
  std::vector<std::string> left_out;
  Result<Bundle> bundle = BundleFromProto(proto, td_, &left_out);
  ASSERT_TRUE(bundle.ok()) << bundle.status().ToString();
  EXPECT_EQ(*bundle, *BundleFromProto(MakeBundle(), td_));
  ASSERT_EQ(left_out.size(), 2u);
  EXPECT_NE(left_out[0].find("X.509 authority"), std::string::npos) << left_out[0];
  EXPECT_NE(left_out[1].find("JWT authority weak"), std::string::npos) << left_out[1];
}

TEST_F(ConvertTest, RefusesABundleThatIsOfNoUse) {
  auto expect_refused = [&](const std::function<void(spire::api::types::Bundle&)>& change) {
    spire::api::types::Bundle proto = MakeBundle();
    change(proto);
    EXPECT_EQ(BundleFromProto(proto, td_).code(), Code::kInvalidArgument);
  };
  expect_refused([](auto& proto) { proto.set_trust_domain("other.org"); });
  expect_refused([](auto& proto) { proto.clear_x509_authorities(); });
  expect_refused([](auto& proto) { proto.mutable_x509_authorities(0)->set_asn1("junk"); });
  expect_refused([](auto& proto) { proto.mutable_jwt_authorities(0)->clear_key_id(); });
  expect_refused([](auto& proto) {
    for (int i = 0; i < 1001; ++i) *proto.add_x509_authorities() = proto.x509_authorities(0);
  });
}

TEST_F(ConvertTest, RefusesAChainThatIsEmptyLongOrBroken) {
  spire::api::types::X509SVID svid;
  EXPECT_EQ(ChainFromProto(svid).code(), Code::kInvalidArgument);
  svid.add_cert_chain("junk");
  EXPECT_EQ(ChainFromProto(svid).code(), Code::kInvalidArgument);
  svid.set_cert_chain(0, authority_.x509[0].certificate.der());
  EXPECT_EQ(ChainFromProto(svid)->size(), 1u);
  for (int i = 0; i < 16; ++i) svid.add_cert_chain(svid.cert_chain(0));
  EXPECT_EQ(ChainFromProto(svid).code(), Code::kInvalidArgument);
}

TEST_F(ConvertTest, RefusesATokenThatIsNone) {
  spire::api::types::JWTSVID svid;
  SpiffeId id = *SpiffeId::Parse("spiffe://example.org/w");
  for (const char* token : {"", "a.b.c", "junk"}) {
    svid.set_token(token);
    EXPECT_FALSE(JwtFromProto(svid, id, {"aud"}).ok()) << token;
  }
}

TEST_F(ConvertTest, TakesATokenThatIsWhatWasAskedFor) {
  std::shared_ptr<Signer> signer = MakeSoftwareSigner(*PrivateKey::Generate(KeyType::kEcP256));
  auto make = [&](Json::Array audience, int64_t issued_at) {
    Json claims = Json::MakeObject();
    claims.Set("sub", "spiffe://example.org/w");
    claims.Set("aud", std::move(audience));
    claims.Set("exp", 2000);
    if (issued_at != 0) claims.Set("iat", issued_at);
    spire::api::types::JWTSVID svid;
    svid.set_token(*SignJws(claims, "kid", "JWT", *signer));
    svid.set_issued_at(1500);
    svid.set_expires_at(9999);  // the token's own claims count
    return svid;
  };
  SpiffeId id = *SpiffeId::Parse("spiffe://example.org/w");
  Result<ReceivedJwt> jwt = JwtFromProto(make({"a", "b"}, 1000), id, {"b"});
  ASSERT_TRUE(jwt.ok()) << jwt.status().ToString();
  EXPECT_EQ(jwt->issued_at, FromUnixSeconds(1000));
  EXPECT_EQ(jwt->expires_at, FromUnixSeconds(2000));
  EXPECT_EQ(JwtFromProto(make({"a"}, 0), id, {"a"})->issued_at, FromUnixSeconds(1500));

  EXPECT_FALSE(JwtFromProto(make({"a"}, 1000), id, {"a", "b"}).ok());
  EXPECT_FALSE(JwtFromProto(make({"a"}, 3000), id, {"a"}).ok());
  SpiffeId other = *SpiffeId::Parse("spiffe://example.org/other");
  EXPECT_FALSE(JwtFromProto(make({"a"}, 1000), other, {"a"}).ok());
}

TEST_F(ConvertTest, HoldsAnIssuedChainToWhatWasAskedFor) {
  SpiffeId server_id = ServerId(td_);
  // The chain that a connection shows is one that its authority has signed.
  FakeServer server(td_, &clock_, &random_);
  CertificateChain chain;
  auto keep = [&](const CertificateChain& shown) {
    chain = shown;
    return OkStatus();
  };
  auto connection =
      server.Connect(ServerApiOptions{.trust_domain = td_, .verify = keep, .clock = &clock_});
  ASSERT_TRUE(connection->FetchBundle(true).ok());
  Bundle bundle = server.CurrentBundle();
  const PublicKey key = chain[0].public_key();
  Time now = clock_.Now();
  EXPECT_TRUE(CheckIssued(chain, server_id, key, bundle, now).ok());
  EXPECT_TRUE(CheckIssued(chain, server_id, key, bundle, now - std::chrono::hours(1)).ok());
  EXPECT_FALSE(CheckIssued({}, server_id, key, bundle, now).ok());
  EXPECT_FALSE(
      CheckIssued(chain, server_id, bundle.x509[0].certificate.public_key(), bundle, now).ok());
  EXPECT_FALSE(
      CheckIssued(chain, *SpiffeId::Parse("spiffe://example.org/w"), key, bundle, now).ok());
  EXPECT_FALSE(CheckIssued(chain, server_id, key, authority_, now).ok());
  EXPECT_FALSE(CheckIssued(chain, server_id, key, bundle, now + std::chrono::hours(24 * 365)).ok());
}

}  // namespace
}  // namespace writ
