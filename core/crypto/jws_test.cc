// SPDX-License-Identifier: Apache-2.0
#include "core/crypto/jws.h"

#include <gtest/gtest.h>

#include "core/base/bytes.h"
#include "core/crypto/jwk.h"
#include "test/fake/key_signer.h"

namespace writ {
namespace {

// RFC 7515, appendices A.2 and A.3.
constexpr std::string_view kRfcPayload =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl"
    "fQ";
constexpr std::string_view kRfcEs256Signature =
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
constexpr std::string_view kRfcEs256Key =
    R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",)"
    R"("y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})";
constexpr std::string_view kRfcRs256Signature =
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5"
    "jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb"
    "1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QO"
    "YEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
constexpr std::string_view kRfcRs256Key =
    R"({"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4q)"
    R"(PCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0)"
    R"(LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo)"
    R"(5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyu)"
    R"(XpoQ","e":"AQAB"})";

std::string Token(std::string_view header, std::string_view payload, std::string_view signature) {
  return Base64UrlEncode(header) + "." + Base64UrlEncode(payload) + "." +
         Base64UrlEncode(signature);
}

TEST(JwsTest, VerifiesTheStandardsExamples) {
  PublicKey ec = *FromJwk(*Json::Parse(kRfcEs256Key));
  Jws es256 = *ParseJws("eyJhbGciOiJFUzI1NiJ9." + std::string(kRfcPayload) + "." +
                        std::string(kRfcEs256Signature));
  EXPECT_TRUE(VerifyJws(es256, ec).ok());
  EXPECT_EQ(*es256.payload.Find("iss")->AsString(), "joe");

  PublicKey rsa = *FromJwk(*Json::Parse(kRfcRs256Key));
  Jws rs256 = *ParseJws("eyJhbGciOiJSUzI1NiJ9." + std::string(kRfcPayload) + "." +
                        std::string(kRfcRs256Signature));
  EXPECT_TRUE(VerifyJws(rs256, rsa).ok());

  EXPECT_EQ(VerifyJws(es256, rsa).code(), Code::kInvalidArgument);
  EXPECT_EQ(VerifyJws(rs256, ec).code(), Code::kInvalidArgument);
}

TEST(JwsTest, SignsWithEveryKeyTypeAndReadsItBack) {
  struct {
    KeyType type;
    std::string_view alg;
    size_t signature_bytes;
  } cases[] = {{KeyType::kEcP256, "ES256", 64},
               {KeyType::kEcP384, "ES384", 96},
               {KeyType::kRsa2048, "RS256", 256}};
  Json payload = *Json::Parse(R"({"sub":"spiffe://example.org/a","aud":["x"],"exp":1})");
  for (const auto& c : cases) {
    KeySigner signer(c.type);
    // Many times: r and s are shorter than their curve now and then.
    for (int i = 0; i < (c.type == KeyType::kRsa2048 ? 1 : 600); ++i) {
      Jws jws = *ParseJws(*SignJws(payload, "key-1", "JWT", signer));
      ASSERT_EQ(jws.signature.size(), c.signature_bytes);
      ASSERT_TRUE(VerifyJws(jws, signer.Public()).ok());
      EXPECT_EQ(jws.alg, c.alg);
      EXPECT_EQ(jws.kid, "key-1");
      EXPECT_EQ(jws.typ, "JWT");
      EXPECT_EQ(jws.payload, payload);
    }
  }
}

TEST(JwsTest, HeaderIsWrittenInOneOrderWithoutEmptyParameters) {
  KeySigner signer(KeyType::kEcP256);
  auto header = [&](std::string_view kid, std::string_view typ) {
    std::string token = *SignJws(Json::MakeObject(), kid, typ, signer);
    return *Base64UrlDecode(token.substr(0, token.find('.')));
  };
  EXPECT_EQ(header("k", "JWT"), R"({"alg":"ES256","kid":"k","typ":"JWT"})");
  EXPECT_EQ(header("", ""), R"({"alg":"ES256"})");
}

TEST(JwsTest, VerifiesEveryAlgorithmOfTheList) {
  KeySigner rsa(KeyType::kRsa2048);
  struct {
    std::string_view alg;
    SignatureScheme scheme;
  } cases[] = {
      {"RS256", SignatureScheme::kRsaPkcs1Sha256}, {"RS384", SignatureScheme::kRsaPkcs1Sha384},
      {"RS512", SignatureScheme::kRsaPkcs1Sha512}, {"PS256", SignatureScheme::kRsaPssSha256},
      {"PS384", SignatureScheme::kRsaPssSha384},   {"PS512", SignatureScheme::kRsaPssSha512},
  };
  for (const auto& made : cases) {
    for (const auto& claimed : cases) {
      std::string input = Base64UrlEncode(R"({"alg":")" + std::string(claimed.alg) + R"("})") +
                          "." + Base64UrlEncode("{}");
      Jws jws = *ParseJws(input + "." + Base64UrlEncode(*rsa.Sign(made.scheme, input)));
      EXPECT_EQ(VerifyJws(jws, rsa.Public()).ok(), made.alg == claimed.alg)
          << made.alg << " as " << claimed.alg;
    }
  }
}

TEST(JwsTest, EachEcAlgorithmHasItsOwnCurve) {
  KeySigner p256(KeyType::kEcP256);
  KeySigner p384(KeyType::kEcP384);
  Jws jws = *ParseJws(*SignJws(Json::MakeObject(), "", "", p256));
  EXPECT_EQ(VerifyJws(jws, p384.Public()).code(), Code::kInvalidArgument);
  jws.alg = "ES384";
  EXPECT_EQ(VerifyJws(jws, p256.Public()).code(), Code::kInvalidArgument);
}

TEST(JwsTest, RefusesSignaturesThatDoNotVerify) {
  KeySigner signer(KeyType::kEcP256);
  Jws jws = *ParseJws(*SignJws(Json::MakeObject(), "", "", signer));
  auto code = [&](auto change) {
    Jws changed = jws;
    change(changed);
    return VerifyJws(changed, signer.Public()).code();
  };
  EXPECT_EQ(code([](Jws&) {}), Code::kOk);
  EXPECT_EQ(code([](Jws& j) { j.signing_input += "x"; }), Code::kPermissionDenied);
  EXPECT_EQ(code([](Jws& j) { j.signature[0] ^= 1; }), Code::kPermissionDenied);
  EXPECT_EQ(code([](Jws& j) { j.signature += '\0'; }), Code::kPermissionDenied);
  EXPECT_EQ(code([](Jws& j) { j.signature.clear(); }), Code::kPermissionDenied);
  EXPECT_EQ(code([](Jws& j) { j.signature.assign(64, '\0'); }), Code::kPermissionDenied);
  EXPECT_EQ(code([](Jws& j) { j.alg = "none"; }), Code::kInvalidArgument);
}

TEST(JwsTest, RefusesOtherAlgorithmsAndHeadersThatItCannotHonor) {
  for (const char* header : {
           R"({"alg":"none"})",
           R"({"alg":"HS256"})",
           R"({"alg":"EdDSA"})",
           R"({"alg":"es256"})",
           R"({"alg":7})",
           R"({})",
           R"([])",
           R"({"alg":"ES256","crit":["exp"],"exp":1})",
           R"({"alg":"ES256","kid":1})",
           R"({"alg":"ES256","typ":null})",
           R"({"alg":"ES256","alg":"ES256"})",
           R"({"alg":"ES256"} x)",
       }) {
    EXPECT_EQ(ParseJws(Token(header, "{}", "s")).code(), Code::kInvalidArgument) << header;
  }
  EXPECT_TRUE(ParseJws(Token(R"({"alg":"ES256"})", "{}", "s")).ok());
}

TEST(JwsTest, RefusesWhatIsNotThreeParts) {
  std::string good = Token(R"({"alg":"ES256"})", "{}", "s");
  for (const std::string& token : {
           std::string(),
           std::string("a.b"),
           good + ".x",
           good + "=",
           " " + good,
           good + "\n",
           Token(R"({"alg":"ES256"})", "[]", "s"),
           Token(R"({"alg":"ES256"})", "junk", "s"),
           std::string(R"({"payload":"e30","signatures":[]})"),
           std::string(kJwsBytesMax + 1, 'a'),
       }) {
    EXPECT_EQ(ParseJws(token).code(), Code::kInvalidArgument) << Printable(token);
  }
}

}  // namespace
}  // namespace writ
