// SPDX-License-Identifier: Apache-2.0
//
// Bundles and their documents, clause by clause of the Trust Domain and Bundle standard, X509-SVID
// section 6 and JWT-SVID section 6.
#include "core/spiffe/bundle.h"

#include <gtest/gtest.h>

#include "core/base/bytes.h"
#include "core/base/file.h"
#include "core/base/json.h"
#include "core/crypto/jwk.h"
#include "test/support/paths.h"

namespace writ {
namespace {

class BundleTest : public testing::Test {
 protected:
  static Certificate Root(const std::string& name) {
    std::string pem = ReadFile(SourcePath("test/golden/x509_svid/" + name + ".pem")).value();
    return Certificate::FromPem(pem).value().front();
  }
  Bundle Example() const {
    return {.trust_domain = td_,
            .x509 = {{ca_}, {other_ca_}},
            .jwt = {{"b", ec_}, {"a", rsa_}},
            .sequence_number = 7,
            .refresh_hint_seconds = 300};
  }
  // A document of one key.
  static std::string Document(const Json& key) {
    Json keys = Json::MakeArray();
    keys.Add(key);
    return Json::MakeObject().Set("keys", keys).Dump();
  }
  Json X509Element() const {
    Json element = ToJwk(ca_.public_key()).value();
    Json x5c = Json::MakeArray();
    x5c.Add(Base64Encode(ca_.der()));
    return element.Set("use", "x509-svid").Set("x5c", x5c);
  }
  Json JwtElement() const {
    return ToJwk(ec_).value().Set("use", "jwt-svid").Set("kid", "k1");
  }
  Result<Bundle> Read(const std::string& text) const { return FromSpiffeJson(td_, text); }
  Result<Bundle> ReadKey(const Json& key) const { return Read(Document(key)); }

  const TrustDomain td_ = TrustDomain::Parse("example.org").value();
  const Certificate ca_ = Root("ca");
  const Certificate other_ca_ = Root("root_no_key_usage");
  // Made once: an RSA key takes its time.
  static const PublicKey& Key(KeyType type) {
    static const PublicKey ec = PrivateKey::Generate(KeyType::kEcP256).value().Public();
    static const PublicKey rsa = PrivateKey::Generate(KeyType::kRsa2048).value().Public();
    return type == KeyType::kRsa2048 ? rsa : ec;
  }
  const PublicKey ec_ = Key(KeyType::kEcP256);
  const PublicKey rsa_ = Key(KeyType::kRsa2048);
};

TEST_F(BundleTest, FindsItsAuthorities) {
  Bundle bundle = Example();
  EXPECT_EQ(bundle.X509Roots(), (std::vector<Certificate>{ca_, other_ca_}));
  EXPECT_EQ(bundle.X509Der(), ca_.der() + other_ca_.der());
  EXPECT_EQ(bundle.FindJwt("a")->key, rsa_);
  EXPECT_EQ(bundle.FindJwt("c"), nullptr);
}

TEST_F(BundleTest, ADocumentComesBackAsItWas) {
  Bundle bundle = Example();
  EXPECT_EQ(Read(ToSpiffeJson(bundle)).value(), bundle);
  EXPECT_EQ(Read(ToSpiffeJson(bundle, /*pretty=*/true)).value(), bundle);
}

TEST_F(BundleTest, TheSameBundleIsAlwaysTheSameText) {
  EXPECT_EQ(ToSpiffeJson(Example()), ToSpiffeJson(Example()));
  EXPECT_EQ(ToWorkloadJwks(Example()), ToWorkloadJwks(Example()));
  Bundle reordered = Example();
  std::swap(reordered.jwt[0], reordered.jwt[1]);
  EXPECT_NE(ToSpiffeJson(Example()), ToSpiffeJson(reordered));
}

TEST_F(BundleTest, X509ElementsHaveOneCertificateTheirUseAndNoKid) {
  Json document = Json::Parse(ToSpiffeJson(Example())).value();
  const Json& element = document.Find("keys")->AsArray()->front();
  EXPECT_EQ(*element.Find("kty"), Json("EC"));
  EXPECT_EQ(*element.Find("use"), Json("x509-svid"));
  EXPECT_EQ(element.Find("kid"), nullptr);
  ASSERT_EQ(element.Find("x5c")->AsArray()->size(), 1u);
  EXPECT_EQ(element.Find("x5c")->AsArray()->front(), Json(Base64Encode(ca_.der())));
  EXPECT_EQ(FromJwk(element).value(), ca_.public_key());
}

TEST_F(BundleTest, JwtElementsHaveTheirUseAndKid) {
  Json document = Json::Parse(ToSpiffeJson(Example())).value();
  const Json& element = (*document.Find("keys")->AsArray())[3];
  EXPECT_EQ(*element.Find("kty"), Json("RSA"));
  EXPECT_EQ(*element.Find("use"), Json("jwt-svid"));
  EXPECT_EQ(*element.Find("kid"), Json("a"));
  EXPECT_EQ(element.Find("x5c"), nullptr);
  EXPECT_EQ(FromJwk(element).value(), rsa_);
}

TEST_F(BundleTest, SaysItsSequenceAndRefreshHint) {
  Json document = Json::Parse(ToSpiffeJson(Example())).value();
  EXPECT_EQ(document.Find("spiffe_sequence")->AsInt64().value(), 7);
  EXPECT_EQ(document.Find("spiffe_refresh_hint")->AsInt64().value(), 300);
  Bundle bundle = Example();
  bundle.refresh_hint_seconds = 0;
  EXPECT_EQ(Json::Parse(ToSpiffeJson(bundle)).value().Find("spiffe_refresh_hint"), nullptr);
}

TEST_F(BundleTest, TaintedAuthoritiesStayInTheDocumentsUntilTheyAreRevoked) {
  Bundle bundle = Example();
  std::string json = ToSpiffeJson(bundle), jwks = ToWorkloadJwks(bundle);
  bundle.x509[0].tainted = true;
  bundle.jwt[0].tainted = true;
  EXPECT_EQ(ToSpiffeJson(bundle), json);
  EXPECT_EQ(ToWorkloadJwks(bundle), jwks);
}

TEST_F(BundleTest, KeysMustBePresentAndMayBeEmpty) {
  EXPECT_EQ(Read(R"({"keys":[]})").value(), Bundle{.trust_domain = td_});
  for (const char* text : {"{}", R"({"keys":null})", R"({"keys":{}})", R"({"keys":""})",
                           R"({"spiffe_sequence":1})", "[]", "null", "", "{", "keys"}) {
    EXPECT_EQ(Read(text).code(), Code::kInvalidArgument) << text;
  }
}

TEST_F(BundleTest, ParametersThatAreNotDefinedAreLeftAlone) {
  EXPECT_TRUE(Read(R"({"keys":[],"x":1,"spiffe_other":{}})").ok());
  EXPECT_EQ(ReadKey(JwtElement().Set("alg", "ES256").Set("x", *JwtElement().Find("x")))
                .value().jwt.size(), 1u);
}

TEST_F(BundleTest, SequenceAndRefreshHintAreOptionalWholeNumbers) {
  EXPECT_EQ(Read(R"({"keys":[],"spiffe_sequence":9007199254740993})").value().sequence_number,
            9007199254740993u);
  for (const char* value : {"-1", "1.5", "\"1\"", "true", "[]", "1e30"}) {
    EXPECT_FALSE(Read(R"({"keys":[],"spiffe_sequence":)" + std::string(value) + "}").ok()) << value;
    EXPECT_FALSE(Read(R"({"keys":[],"spiffe_refresh_hint":)" + std::string(value) + "}").ok());
  }
}

TEST_F(BundleTest, KeysOfUnknownOrMissingUseArePassedOver) {
  for (const char* use : {"wit-svid", "sig", "X509-SVID", "JWT-SVID", "jwt-svid ", ""}) {
    EXPECT_EQ(ReadKey(JwtElement().Set("use", use)).value(), Bundle{.trust_domain = td_}) << use;
  }
  EXPECT_EQ(ReadKey(JwtElement().Set("use", 1)).value(), Bundle{.trust_domain = td_});
  EXPECT_EQ(ReadKey(ToJwk(ec_).value()).value(), Bundle{.trust_domain = td_});
}

TEST_F(BundleTest, KeysOfUnknownOrMissingTypeArePassedOver) {
  for (const char* kty : {"AKP", "oct", "ec", ""}) {
    EXPECT_EQ(ReadKey(JwtElement().Set("kty", kty)).value(), Bundle{.trust_domain = td_}) << kty;
  }
  Json without = Json::MakeObject().Set("use", "jwt-svid").Set("kid", "k1");
  EXPECT_EQ(ReadKey(without).value(), Bundle{.trust_domain = td_});
  EXPECT_EQ(ReadKey(Json("text")).value(), Bundle{.trust_domain = td_});
}

TEST_F(BundleTest, X509ElementsWithoutX5cArePassedOver) {
  Json bare = ToJwk(ca_.public_key()).value().Set("use", "x509-svid");
  EXPECT_EQ(ReadKey(bare).value(), Bundle{.trust_domain = td_});
  EXPECT_EQ(ReadKey(bare.Set("x5c", Json::MakeArray())).value(), Bundle{.trust_domain = td_});
}

TEST_F(BundleTest, OnlyTheFirstCertificateOfAnX5cCounts) {
  Json x5c = Json::MakeArray();
  x5c.Add(Base64Encode(ca_.der())).Add(Base64Encode(other_ca_.der())).Add("garbage");
  Bundle bundle = ReadKey(X509Element().Set("x5c", x5c)).value();
  EXPECT_EQ(bundle.X509Roots(), std::vector<Certificate>{ca_});
}

TEST_F(BundleTest, ABrokenX509ElementIsAnError) {
  std::string der = Base64Encode(ca_.der());
  for (const Json& value : {Json("garbage"), Json(1), Json(der.substr(0, 100)), Json(der + "AAAA"),
                            Json(Base64UrlEncode(ca_.der())), Json("")}) {
    Json x5c = Json::MakeArray();
    x5c.Add(value);
    Result<Bundle> read = ReadKey(X509Element().Set("x5c", x5c));
    EXPECT_EQ(read.code(), Code::kInvalidArgument) << value.Dump();
    EXPECT_NE(read.status().message().find("key 0"), std::string::npos);
  }
}

TEST_F(BundleTest, TheMembersOfAnX509ElementMustBeTheCertificatesKey) {
  Json element = X509Element();
  EXPECT_TRUE(ReadKey(element).ok());
  Json of_another_key = ToJwk(other_ca_.public_key()).value();
  element.Set("x", *of_another_key.Find("x"));
  EXPECT_EQ(ReadKey(element).code(), Code::kInvalidArgument);
}

TEST_F(BundleTest, ARepeatedCertificateCountsOnce) {
  Json keys = Json::MakeArray();
  keys.Add(X509Element()).Add(X509Element());
  EXPECT_EQ(Read(Json::MakeObject().Set("keys", keys).Dump()).value().x509.size(), 1u);
}

TEST_F(BundleTest, JwtElementsNeedAKid) {
  EXPECT_EQ(ReadKey(JwtElement()).value().jwt[0].key, ec_);
  Json without = ToJwk(ec_).value().Set("use", "jwt-svid");
  EXPECT_EQ(ReadKey(without).code(), Code::kInvalidArgument);
  EXPECT_EQ(ReadKey(JwtElement().Set("kid", "")).code(), Code::kInvalidArgument);
  EXPECT_EQ(ReadKey(JwtElement().Set("kid", 1)).code(), Code::kInvalidArgument);
}

TEST_F(BundleTest, OneKidMayNotNameTwoKeys) {
  Json keys = Json::MakeArray();
  keys.Add(JwtElement()).Add(JwtElement());
  std::string text = Json::MakeObject().Set("keys", keys).Dump();
  EXPECT_EQ(Read(text).code(), Code::kInvalidArgument);
  EXPECT_EQ(FromWorkloadJwks(text).code(), Code::kInvalidArgument);
}

TEST_F(BundleTest, ABrokenJwtElementIsAnError) {
  EXPECT_FALSE(ReadKey(JwtElement().Set("x", "AAAA")).ok());
  EXPECT_FALSE(ReadKey(JwtElement().Set("crv", "P-384")).ok());
  EXPECT_FALSE(ReadKey(JwtElement().Set("y", 1)).ok());
}

TEST_F(BundleTest, DuplicateNamesAreRefused) {
  EXPECT_FALSE(Read(R"({"keys":[],"keys":[]})").ok());
}

TEST_F(BundleTest, WorkloadJwksHaveJwtKeysAndNothingElse) {
  Json jwks = Json::Parse(ToWorkloadJwks(Example())).value();
  ASSERT_EQ(jwks.AsObject()->size(), 1u);
  const Json::Array& keys = *jwks.Find("keys")->AsArray();
  ASSERT_EQ(keys.size(), 2u);
  for (const Json& key : keys) {
    EXPECT_EQ(key.Find("use"), nullptr);
    EXPECT_NE(key.Find("kid"), nullptr);
    EXPECT_NE(key.Find("kty"), nullptr);
  }
  EXPECT_EQ(FromWorkloadJwks(ToWorkloadJwks(Example())).value(), Example().jwt);
  EXPECT_EQ(ToWorkloadJwks(Bundle{.trust_domain = td_}), R"({"keys":[]})");
}

TEST_F(BundleTest, ReadsAFileOfPemOrJson) {
  Bundle bundle = Example();
  EXPECT_EQ(ParseBundleFile(td_, ToSpiffeJson(bundle)).value(), bundle);
  EXPECT_EQ(ParseBundleFile(td_, "\n\t " + ToSpiffeJson(bundle, true)).value(), bundle);
  Bundle from_pem = ParseBundleFile(td_, "\n" + ToPem(bundle) + ToPem(bundle)).value();
  EXPECT_EQ(from_pem, (Bundle{.trust_domain = td_, .x509 = bundle.x509}));
  for (const char* text : {"", " \n", "hello", "{", "-----BEGIN CERTIFICATE-----"}) {
    EXPECT_EQ(ParseBundleFile(td_, text).code(), Code::kInvalidArgument) << text;
  }
}

}  // namespace
}  // namespace writ
