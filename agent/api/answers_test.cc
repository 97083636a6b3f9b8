// SPDX-License-Identifier: Apache-2.0
#include "agent/api/answers.h"

#include <gtest/gtest.h>

namespace writ {
namespace {

const TrustDomain kOwn = TrustDomain::Parse("example.org").value();

JwtSvid TokenOf(const std::string& id) {
  Json claims = Json::MakeObject();
  claims.Set("sub", id).Set("aud", "x").Set("exp", 100).Set("iat", 50).Set("private", "p");
  return JwtSvid{.id = SpiffeId::Parse(id).value(), .audience = {"x"}, .claims = claims};
}

TEST(AnswersTest, OwnTokensKeepTheirPrivateClaims) {
  const auto claims = MakeClaims(TokenOf("spiffe://example.org/a"), kOwn);
  EXPECT_EQ(claims.fields().at("private").string_value(), "p");
  EXPECT_EQ(claims.fields().at("iat").number_value(), 50);
  EXPECT_EQ(claims.fields().size(), 5u);
}

TEST(AnswersTest, TokensOfOtherTrustDomainsGiveTheStandardClaimsAlone) {
  const auto claims = MakeClaims(TokenOf("spiffe://other.org/a"), kOwn);
  EXPECT_EQ(claims.fields().size(), 3u);
  EXPECT_TRUE(claims.fields().contains("sub"));
  EXPECT_TRUE(claims.fields().contains("exp"));
  EXPECT_EQ(claims.fields().at("aud").list_value().values(0).string_value(), "x");
}

TEST(AnswersTest, FingerprintsTellContentApartAndNotItsOrder) {
  X509BundlesResponse a, b;
  for (int i = 0; i < 20; ++i) (*a.mutable_bundles())["td" + std::to_string(i)] = "der";
  for (int i = 19; i >= 0; --i) (*b.mutable_bundles())["td" + std::to_string(i)] = "der";
  EXPECT_EQ(FingerprintOf(a), FingerprintOf(b));
  (*b.mutable_bundles())["td0"] = "other";
  EXPECT_NE(FingerprintOf(a), FingerprintOf(b));
}

TEST(AnswersTest, KeysAreWipedAndNothingElse) {
  X509SVIDResponse response;
  response.add_svids()->set_x509_svid_key("secret");
  response.mutable_svids(0)->set_spiffe_id("spiffe://example.org/a");
  WipeKeys(response);
  EXPECT_EQ(response.svids(0).x509_svid_key(), std::string(6, '\0'));
  EXPECT_EQ(response.svids(0).spiffe_id(), "spiffe://example.org/a");
}

}  // namespace
}  // namespace writ
