// SPDX-License-Identifier: Apache-2.0
#include "server/api/bundle_api.h"

#include "server/api/api_fixture.h"

namespace writ {
namespace {

class BundleApiTest : public ApiFixture {
 protected:
  std::string NewRoot(bool is_ca = true) {
    PrivateKey key = *PrivateKey::Generate(KeyType::kEcP256);
    std::shared_ptr<Signer> signer = MakeSoftwareSigner(key);
    CertificateTemplate root{.serial = Serial::Generate(random_),
                             .subject = {.common_name = "root"},
                             .not_before = clock_.Now(),
                             .not_after = clock_.Now() + std::chrono::hours(1),
                             .uri_sans = {"spiffe://example.org"},
                             .is_ca = is_ca};
    return Take(SignSelfSigned(root, *signer));
  }
};

TEST_F(BundleApiTest, BundleHasItsAuthoritiesAndPassesTheMask) {
  Call call = AsLocal();
  bundle_pb::GetBundleRequest request;
  types::Bundle bundle = Take(bundles_->GetBundle(call, request));
  EXPECT_EQ(bundle.trust_domain(), "example.org");
  EXPECT_EQ(bundle.x509_authorities_size(), 1);
  EXPECT_EQ(bundle.jwt_authorities_size(), 1);
  EXPECT_GT(bundle.sequence_number(), 0u);
  request.mutable_output_mask()->set_jwt_authorities(true);
  bundle = Take(bundles_->GetBundle(call, request));
  EXPECT_EQ(bundle.x509_authorities_size(), 0);
  EXPECT_EQ(bundle.jwt_authorities_size(), 1);
  EXPECT_EQ(bundle.sequence_number(), 0u);
  EXPECT_EQ(Take(bundles_->CountBundles(call, {})).count(), 1);
}

TEST_F(BundleApiTest, AppendedAuthoritiesAreAddedOnce) {
  Call call = AsLocal();
  bundle_pb::AppendBundleRequest request;
  request.add_x509_authorities()->set_asn1(NewRoot());
  types::JWTKey* key = request.add_jwt_authorities();
  key->set_key_id("other");
  key->set_public_key(LeafKey().Public().spki());
  for (int i = 0; i < 2; ++i) {
    types::Bundle bundle = Take(bundles_->AppendBundle(call, request));
    EXPECT_EQ(bundle.x509_authorities_size(), 2);
    EXPECT_EQ(bundle.jwt_authorities_size(), 2);
  }
  EXPECT_EQ(call.events.size(), 2u);
}

TEST_F(BundleApiTest, BadAuthoritiesAreRefused) {
  Call call = AsLocal();
  bundle_pb::AppendBundleRequest bad[5];
  bad[1].add_x509_authorities()->set_asn1("x");
  bad[2].add_x509_authorities()->set_asn1(NewRoot(/*is_ca=*/false));
  bad[3].add_jwt_authorities()->set_public_key(LeafKey().Public().spki());
  bad[4].add_jwt_authorities()->set_key_id("a");
  for (const auto& request : bad) {
    EXPECT_EQ(bundles_->AppendBundle(call, request).code(), Code::kInvalidArgument)
        << request.ShortDebugString();
  }
  EXPECT_EQ(bundle_->Current()->x509.size(), 1u);
}

TEST_F(BundleApiTest, PublishedJwtAuthorityIsAnsweredWithAll) {
  Call call = AsLocal();
  bundle_pb::PublishJWTAuthorityRequest request;
  EXPECT_EQ(bundles_->PublishJwtAuthority(call, request).code(), Code::kInvalidArgument);
  request.mutable_jwt_authority()->set_key_id("downstream");
  request.mutable_jwt_authority()->set_public_key(LeafKey().Public().spki());
  auto response = Take(bundles_->PublishJwtAuthority(call, request));
  EXPECT_EQ(response.jwt_authorities_size(), 2);
}

TEST_F(BundleApiTest, KeyIdOfAnotherJwtAuthorityIsRefusedAndTheKnownOneMayLiveLonger) {
  Call call = AsLocal();
  bundle_pb::PublishJWTAuthorityRequest request;
  types::JWTKey* key = request.mutable_jwt_authority();
  key->set_key_id("downstream");
  key->set_public_key(LeafKey().Public().spki());
  const struct {
    int64_t asked, known;
  } steps[] = {{100, 100}, {200, 200}, {150, 200}, {0, 0}, {300, 0}};
  for (const auto& step : steps) {
    key->set_expires_at(step.asked);
    auto response = Take(bundles_->PublishJwtAuthority(call, request));
    ASSERT_EQ(response.jwt_authorities_size(), 2);
    EXPECT_EQ(response.jwt_authorities(1).expires_at(), step.known) << step.asked;
  }

  key->set_public_key(PrivateKey::Generate(KeyType::kEcP256)->Public().spki());
  EXPECT_EQ(bundles_->PublishJwtAuthority(call, request).code(), Code::kAlreadyExists);
  bundle_pb::AppendBundleRequest append;
  *append.add_jwt_authorities() = *key;
  append.add_x509_authorities()->set_asn1(NewRoot());
  EXPECT_EQ(bundles_->AppendBundle(call, append).code(), Code::kAlreadyExists);
  EXPECT_EQ(bundle_->Current()->x509.size(), 1u);  // all of a request, or nothing
  EXPECT_EQ(bundle_->Current()->FindJwt("downstream")->key, LeafKey().Public());
}

}  // namespace
}  // namespace writ
