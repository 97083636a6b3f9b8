// SPDX-License-Identifier: Apache-2.0
//
// JWT-SVID clause by clause, with tokens written by hand so that each can be wrong in its own way.
#include <gtest/gtest.h>

#include "core/base/bytes.h"
#include "core/crypto/jws.h"
#include "core/spiffe/svid.h"

namespace writ {
namespace {

// A P-521 key, which Writ itself never makes.
constexpr std::string_view kP521Pkcs8 =
    "MIHuAgEAMBAGByqGSM49AgEGBSuBBAAjBIHWMIHTAgEBBEIAhE/8TtFiOexHtdwGhTqTpbwBYsysL6nbqphaFDgsZbjd"
    "smOELHwqdQRd62NUNmm8f0va+oFTnrnARXz6ffOxOCahgYkDgYYABAAkOfDxXss1s8vcfpb/QAikOnpdqYJT24AZJwLZ"
    "72FVo7MhrlWiCJxcqZMXJO7jG2t4qlpBOPVmv1ZHdfT2ICNvSgCFgV3XU5314mtomhU/6GL5pb/c4Msnxdky/rvT551+"
    "ShYLNE74baDzLT8l7PCiXzvsFKrSgCNbSa9XOYhEX283Dg==";

// r || s of fixed width, from the DER that OpenSSL signs with (RFC 7518 section 3.4).
std::string RawSignature(std::string_view der, size_t width) {
  size_t at = static_cast<uint8_t>(der[1]) == 0x81 ? 3 : 2;
  std::string raw;
  for (int i = 0; i < 2; ++i) {
    size_t size = static_cast<uint8_t>(der[at + 1]);
    std::string number(der.substr(at + 2, size));
    at += 2 + size;
    if (number.size() > width) number.erase(0, number.size() - width);
    raw += std::string(width - number.size(), '\0') + number;
  }
  return raw;
}

struct TokenKey {
  std::string alg;
  SignatureScheme scheme;
  size_t width;  // of r and s; 0: RSA
  PrivateKey key;
};

PrivateKey P521() {
  return PrivateKey::FromPkcs8(Secret(Base64Decode(kP521Pkcs8).value())).value();
}

class JwtSvidTest : public testing::Test {
 protected:
  // A token as text, its signature made over whatever `header` and `payload` say.
  static std::string Sign(const TokenKey& key, std::string_view header, std::string_view payload) {
    std::string input = Base64UrlEncode(header) + "." + Base64UrlEncode(payload);
    std::string signature = key.key.Sign(key.scheme, input).value();
    if (key.width != 0) signature = RawSignature(signature, key.width);
    return input + "." + Base64UrlEncode(signature);
  }
  std::string Token(std::string_view payload) {
    return Sign(es256_, R"({"alg":"ES256","kid":"k1","typ":"JWT"})", payload);
  }
  std::string TokenWithHeader(std::string_view header) { return Sign(es256_, header, kGood); }
  Bundle BundleOf(const TrustDomain& td, const PublicKey& key, std::string kid = "k1") {
    return {.trust_domain = td, .jwt = {{std::move(kid), key}}};
  }
  Result<JwtSvid> Validate(const std::string& token, std::string_view audience = "reports") {
    std::vector<Bundle> bundles = {BundleOf(td_, es256_.key.Public())};
    return ValidateJwtSvid(token, audience, bundles, now_);
  }
  std::string Refusal(const std::string& token) {
    Result<JwtSvid> result = Validate(token);
    if (result.ok()) return "accepted";
    EXPECT_EQ(result.code(), Code::kInvalidArgument);
    return result.status().message();
  }
  std::string RefusalOf(std::string_view payload) { return Refusal(Token(payload)); }

  static constexpr int64_t kNow = 1'800'000'000;
  static constexpr std::string_view kGood =
      R"({"sub":"spiffe://example.org/web","aud":["reports","audit"],)"
      R"("exp":1800000300,"iat":1799999990})";
  const TrustDomain td_ = TrustDomain::Parse("example.org").value();
  const TrustDomain other_ = TrustDomain::Parse("example.com").value();
  const Time now_ = FromUnixSeconds(kNow);
  const TokenKey es256_{"ES256", SignatureScheme::kEcdsaSha256, 32,
                        PrivateKey::Generate(KeyType::kEcP256).value()};
};

#define EXPECT_SAYS(text, words) EXPECT_NE((text).find(words), std::string::npos) << (text)

TEST_F(JwtSvidTest, AcceptsAProperToken) {
  std::string token = Token(kGood);
  Result<JwtSvid> svid = Validate(token);
  ASSERT_TRUE(svid.ok()) << svid.status().message();
  EXPECT_EQ(svid->id.text(), "spiffe://example.org/web");
  EXPECT_EQ(svid->audience, (std::vector<std::string>{"reports", "audit"}));
  EXPECT_EQ(svid->expires_at, FromUnixSeconds(kNow + 300));
  EXPECT_EQ(svid->issued_at, FromUnixSeconds(kNow - 10));
  EXPECT_EQ(svid->kid, "k1");
  EXPECT_EQ(svid->claims, Json::Parse(kGood).value());
  EXPECT_EQ(svid->token, token);
}

TEST_F(JwtSvidTest, AcceptsEveryListedAlgorithm) {
  PrivateKey rsa = PrivateKey::Generate(KeyType::kRsa2048).value();
  PrivateKey p384 = PrivateKey::Generate(KeyType::kEcP384).value();
  const std::vector<TokenKey> keys = {
      es256_,
      {"ES384", SignatureScheme::kEcdsaSha384, 48, p384},
      {"ES512", SignatureScheme::kEcdsaSha512, 66, P521()},
      {"RS256", SignatureScheme::kRsaPkcs1Sha256, 0, rsa},
      {"RS384", SignatureScheme::kRsaPkcs1Sha384, 0, rsa},
      {"RS512", SignatureScheme::kRsaPkcs1Sha512, 0, rsa},
      {"PS256", SignatureScheme::kRsaPssSha256, 0, rsa},
      {"PS384", SignatureScheme::kRsaPssSha384, 0, rsa},
      {"PS512", SignatureScheme::kRsaPssSha512, 0, rsa},
  };
  for (const TokenKey& key : keys) {
    std::string token = Sign(key, R"({"kid":"k1","alg":")" + key.alg + "\"}", kGood);
    std::vector<Bundle> bundles = {BundleOf(td_, key.key.Public())};
    Result<JwtSvid> svid = ValidateJwtSvid(token, "reports", bundles, now_);
    EXPECT_TRUE(svid.ok()) << key.alg << ": " << svid.status().message();
  }
}

TEST_F(JwtSvidTest, RejectsEveryOtherAlgorithm) {
  for (std::string alg : {"none", "None", "HS256", "HS384", "HS512", "EdDSA", "ES256K", "es256",
                          "", "RSA1_5", "A256GCM"}) {
    EXPECT_NE(Refusal(TokenWithHeader(R"({"kid":"k1","alg":")" + alg + "\"}")), "accepted") << alg;
  }
  EXPECT_NE(Refusal(TokenWithHeader(R"({"kid":"k1"})")), "accepted");
  EXPECT_NE(Refusal(TokenWithHeader(R"({"kid":"k1","alg":256})")), "accepted");
}

TEST_F(JwtSvidTest, RejectsAnAlgorithmThatIsNotTheKeys) {
  EXPECT_NE(Refusal(TokenWithHeader(R"({"kid":"k1","alg":"ES384"})")), "accepted");
  EXPECT_NE(Refusal(TokenWithHeader(R"({"kid":"k1","alg":"RS256"})")), "accepted");
}

TEST_F(JwtSvidTest, RejectsATokenWithoutKid) {
  EXPECT_EQ(Refusal(TokenWithHeader(R"({"alg":"ES256"})")), "token header missing key id");
  EXPECT_SAYS(Refusal(TokenWithHeader(R"({"alg":"ES256","kid":""})")), "missing key id");
  EXPECT_NE(Refusal(TokenWithHeader(R"({"alg":"ES256","kid":1})")), "accepted");
}

TEST_F(JwtSvidTest, TypIsAbsentOrJwtOrJose) {
  EXPECT_EQ(Refusal(TokenWithHeader(R"({"alg":"ES256","kid":"k1"})")), "accepted");
  EXPECT_EQ(Refusal(TokenWithHeader(R"({"alg":"ES256","kid":"k1","typ":"JWT"})")), "accepted");
  EXPECT_EQ(Refusal(TokenWithHeader(R"({"alg":"ES256","kid":"k1","typ":"JOSE"})")), "accepted");
}

TEST_F(JwtSvidTest, RejectsEveryOtherTyp) {
  for (std::string typ : {R"("jwt")", R"("wit+jwt")", R"("at+jwt")", R"("secevent+jwt")", R"("")",
                          R"("JOSE+JSON")", "1", "null", R"(["JWT"])"}) {
    std::string header = R"({"alg":"ES256","kid":"k1","typ":)" + typ + "}";
    EXPECT_NE(Refusal(TokenWithHeader(header)), "accepted") << typ;
  }
}

TEST_F(JwtSvidTest, RejectsAPayloadThatIsNotEncoded) {
  EXPECT_SAYS(Refusal(TokenWithHeader(R"({"alg":"ES256","kid":"k1","b64":false})")), "b64");
  EXPECT_EQ(Refusal(TokenWithHeader(R"({"alg":"ES256","kid":"k1","b64":true})")), "accepted");
}

TEST_F(JwtSvidTest, RejectsCriticalExtensions) {
  EXPECT_NE(Refusal(TokenWithHeader(R"({"alg":"ES256","kid":"k1","crit":["exp"],"exp":1})")),
            "accepted");
}

TEST_F(JwtSvidTest, RejectsTheJsonSerialization) {
  std::string token = Token(kGood);
  size_t a = token.find('.'), b = token.rfind('.');
  std::string json = R"({"payload":")" + token.substr(a + 1, b - a - 1) +
                     R"(","signatures":[{"protected":")" + token.substr(0, a) +
                     R"(","signature":")" + token.substr(b + 1) + R"("}]})";
  EXPECT_NE(Refusal(json), "accepted");
}

TEST_F(JwtSvidTest, RejectsWhatIsNoToken) {
  std::string token = Token(kGood);
  for (const std::string& text :
       {std::string(), std::string("."), std::string(".."), std::string("a.b.c"), token + ".",
        token + "=", " " + token, token.substr(0, token.rfind('.')), token.substr(1),
        std::string(kJwsBytesMax + 1, 'a'), token + std::string(kJwsBytesMax, 'a')}) {
    EXPECT_NE(Refusal(text), "accepted");
  }
}

TEST_F(JwtSvidTest, TheSubjectIsASpiffeId) {
  EXPECT_SAYS(RefusalOf(R"({"aud":"reports","exp":1800000300})"), "token missing subject claim");
  for (std::string sub : {R"("")", R"("web")", R"("https://example.org/web")", "1", "null",
                          R"("spiffe://example.org/web/")", R"("SPIFFE://example.org/web")",
                          R"(["spiffe://example.org/web"])"}) {
    EXPECT_SAYS(RefusalOf(R"({"aud":"reports","exp":1800000300,"sub":)" + sub + "}"), "sub");
  }
}

TEST_F(JwtSvidTest, TheAudienceIsATextOrAList) {
  const std::string rest = R"("sub":"spiffe://example.org/web","exp":1800000300})";
  Result<JwtSvid> one = Validate(Token(R"({"aud":"reports",)" + rest));
  ASSERT_TRUE(one.ok());
  EXPECT_EQ(one->audience, std::vector<std::string>{"reports"});
  EXPECT_EQ(RefusalOf(R"({"aud":["reports"],)" + rest), "accepted");
  EXPECT_EQ(RefusalOf(R"({"aud":["other","reports"],)" + rest), "accepted");
}

TEST_F(JwtSvidTest, RejectsATokenWithoutAudience) {
  const std::string rest = R"("sub":"spiffe://example.org/web","exp":1800000300})";
  EXPECT_SAYS(RefusalOf("{" + rest), "token missing aud claim");
  EXPECT_SAYS(RefusalOf(R"({"aud":null,)" + rest), "token missing aud claim");
  EXPECT_SAYS(RefusalOf(R"({"aud":[],)" + rest), "\"aud\" is empty");
  EXPECT_SAYS(RefusalOf(R"({"aud":1,)" + rest), "\"aud\"");
  EXPECT_SAYS(RefusalOf(R"({"aud":["reports",1],)" + rest), "\"aud\"");
  EXPECT_SAYS(RefusalOf(R"({"aud":{"reports":true},)" + rest), "\"aud\"");
}

TEST_F(JwtSvidTest, RejectsATokenForAnotherAudience) {
  std::string token = Token(kGood);
  EXPECT_TRUE(Validate(token, "audit").ok());
  for (std::string_view audience : {"report", "reports ", "REPORTS", "other", ""}) {
    EXPECT_EQ(Validate(token, audience).code(), Code::kInvalidArgument) << audience;
  }
  EXPECT_EQ(Validate(token, "other").status().message(),
            "expected audience in [\"other\"] (audience=[\"reports\" \"audit\"])");
}

TEST_F(JwtSvidTest, AudiencesThatAreToldAreBounded) {
  std::string list;
  for (int i = 0; i < 1000; ++i) list += R"("aaaaaaaaaa\n",)";
  std::string refusal = RefusalOf(
      R"({"aud":[)" + list + R"("a"],"sub":"spiffe://example.org/web","exp":1800000300})");
  EXPECT_LT(refusal.size(), 1000u);
  EXPECT_EQ(refusal.find('\n'), std::string::npos);
}

TEST_F(JwtSvidTest, RejectsATokenWithoutExpiry) {
  const std::string rest = R"("aud":"reports","sub":"spiffe://example.org/web"})";
  EXPECT_SAYS(RefusalOf("{" + rest), "token missing exp claim");
  EXPECT_SAYS(RefusalOf(R"({"exp":null,)" + rest), "token missing exp claim");
  EXPECT_SAYS(RefusalOf(R"({"exp":"1800000300",)" + rest), "\"exp\" is no number");
  EXPECT_SAYS(RefusalOf(R"({"exp":true,)" + rest), "\"exp\" is no number");
}

TEST_F(JwtSvidTest, ExpiresWithAMinuteOfLeeway) {
  const std::string rest = R"("aud":"reports","sub":"spiffe://example.org/web"})";
  EXPECT_EQ(RefusalOf(R"({"exp":1799999940,)" + rest), "accepted");
  EXPECT_SAYS(RefusalOf(R"({"exp":1799999939,)" + rest), "expired");
  EXPECT_SAYS(RefusalOf(R"({"exp":0,)" + rest), "expired");
  EXPECT_SAYS(RefusalOf(R"({"exp":-1e300,)" + rest), "expired");
  EXPECT_EQ(RefusalOf(R"({"exp":1.8000003e9,)" + rest), "accepted");
  EXPECT_EQ(RefusalOf(R"({"exp":1800000300.75,)" + rest), "accepted");
  EXPECT_EQ(RefusalOf(R"({"exp":1e300,)" + rest), "accepted");
}

TEST_F(JwtSvidTest, NotBeforeAndIssuedAtHaveAMinuteOfLeeway) {
  const std::string rest =
      R"("aud":"reports","sub":"spiffe://example.org/web","exp":1800000300})";
  EXPECT_EQ(RefusalOf(R"({"nbf":1800000060,)" + rest), "accepted");
  EXPECT_SAYS(RefusalOf(R"({"nbf":1800000061,)" + rest), "not valid before");
  EXPECT_EQ(RefusalOf(R"({"iat":1800000060,)" + rest), "accepted");
  EXPECT_SAYS(RefusalOf(R"({"iat":1800000061,)" + rest), "issued in the future");
  EXPECT_SAYS(RefusalOf(R"({"nbf":"soon",)" + rest), "\"nbf\" is no number");
  EXPECT_SAYS(RefusalOf(R"({"iat":[],)" + rest), "\"iat\" is no number");
}

TEST_F(JwtSvidTest, OtherClaimsAreKeptAndNotJudged) {
  Result<JwtSvid> svid = Validate(Token(
      R"({"aud":"reports","sub":"spiffe://example.org/web","exp":1800000300,"jti":"1",)"
      R"("https://example.org/claim":{"a":[1]},"cnf":{"jwk":{}}})"));
  ASSERT_TRUE(svid.ok()) << svid.status().message();
  EXPECT_NE(svid->claims.Find("https://example.org/claim"), nullptr);
}

TEST_F(JwtSvidTest, RejectsDuplicateClaims) {
  EXPECT_NE(RefusalOf(R"({"aud":"reports","sub":"spiffe://example.org/web","exp":1800000300,)"
                      R"("sub":"spiffe://example.org/admin"})"),
            "accepted");
}

TEST_F(JwtSvidTest, RejectsAChangedToken) {
  std::string token = Token(kGood);
  size_t dot = token.rfind('.');
  std::string forged = Base64UrlEncode(R"({"alg":"ES256","kid":"k1","typ":"JWT"})") + "." +
                       Base64UrlEncode(R"({"sub":"spiffe://example.org/admin","aud":"reports",)"
                                       R"("exp":1800000300})") +
                       token.substr(dot);
  EXPECT_NE(Refusal(forged), "accepted");
  token[dot + 5] = token[dot + 5] == 'A' ? 'B' : 'A';
  EXPECT_NE(Refusal(token), "accepted");
  EXPECT_NE(Refusal(token.substr(0, dot + 1)), "accepted");
}

TEST_F(JwtSvidTest, TheSubjectsTrustDomainPicksTheBundle) {
  PublicKey wrong = PrivateKey::Generate(KeyType::kEcP256).value().Public();
  std::string token = Token(kGood);
  std::vector<Bundle> right = {BundleOf(other_, wrong), BundleOf(td_, es256_.key.Public())};
  EXPECT_TRUE(ValidateJwtSvid(token, "reports", right, now_).ok());
  std::vector<Bundle> swapped = {BundleOf(td_, wrong), BundleOf(other_, es256_.key.Public())};
  EXPECT_EQ(ValidateJwtSvid(token, "reports", swapped, now_).code(), Code::kInvalidArgument);
}

TEST_F(JwtSvidTest, WithoutABundleOrItsAuthorityTheTokenIsUntrusted) {
  std::string token = Token(kGood);
  Result<JwtSvid> none = ValidateJwtSvid(token, "reports", {}, now_);
  EXPECT_EQ(none.status().message(), "no keys found for trust domain \"example.org\"");
  std::vector<Bundle> other_key = {BundleOf(td_, es256_.key.Public(), "k2")};
  Result<JwtSvid> unknown = ValidateJwtSvid(token, "reports", other_key, now_);
  EXPECT_EQ(unknown.code(), Code::kInvalidArgument);
  EXPECT_EQ(unknown.status().message(),
            "public key \"k1\" not found in trust domain \"example.org\"");
}

TEST_F(JwtSvidTest, InsecureParsingChecksAllButSignatureTimeAndAudience) {
  std::string token = Token(kGood);
  std::string unsigned_token = token.substr(0, token.rfind('.') + 1) + Base64UrlEncode("x");
  Result<JwtSvid> svid = ParseJwtSvidInsecure(unsigned_token);
  ASSERT_TRUE(svid.ok()) << svid.status().message();
  EXPECT_EQ(svid->id.text(), "spiffe://example.org/web");
  EXPECT_FALSE(ParseJwtSvidInsecure(Token(R"({"sub":"web"})")).ok());
  EXPECT_FALSE(ParseJwtSvidInsecure(TokenWithHeader(R"({"alg":"none","kid":"k1"})")).ok());
}

TEST_F(JwtSvidTest, AcceptsWhatOurOwnWriterSigns) {
  class KeySigner final : public Signer {
   public:
    explicit KeySigner(PrivateKey key) : key_(std::move(key)) {}
    const PublicKey& Public() const override { return key_.Public(); }
    Result<std::string> Sign(SignatureScheme scheme, std::string_view message) override {
      return key_.Sign(scheme, message);
    }

   private:
    const PrivateKey key_;
  };
  for (KeyType type : {KeyType::kEcP256, KeyType::kEcP384, KeyType::kRsa2048}) {
    KeySigner signer(PrivateKey::Generate(type).value());
    std::string token = SignJws(Json::Parse(kGood).value(), "k1", "JWT", signer).value();
    std::vector<Bundle> bundles = {BundleOf(td_, signer.Public())};
    EXPECT_TRUE(ValidateJwtSvid(token, "reports", bundles, now_).ok()) << KeyTypeName(type);
  }
}

}  // namespace
}  // namespace writ
