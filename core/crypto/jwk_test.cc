// SPDX-License-Identifier: Apache-2.0
#include "core/crypto/jwk.h"

#include <gtest/gtest.h>

#include "core/base/bytes.h"
#include "core/crypto/openssl.h"

namespace writ {
namespace {

// RFC 7638 section 3.1.
constexpr std::string_view kRfcModulus =
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECP"
    "ebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY"
    "368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0f"
    "M4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";

PublicKey PublicHalf(const EvpPkeyPtr& key) {
  unsigned char* der = nullptr;
  int size = i2d_PUBKEY(key.get(), &der);
  Result<PublicKey> half = PublicKey::FromSpki(
      std::string_view(reinterpret_cast<char*>(der), static_cast<size_t>(size)));
  OPENSSL_free(der);
  return *half;
}

Json RsaJwk(std::string_view modulus, std::string_view exponent) {
  Json jwk = Json::MakeObject();
  jwk.Set("kty", "RSA").Set("n", modulus).Set("e", exponent);
  return jwk;
}

TEST(JwkTest, KeysOfEveryTypeGoBothWaysWithMembersInOrder) {
  for (KeyType type : {KeyType::kEcP256, KeyType::kEcP384, KeyType::kRsa2048}) {
    PublicKey key = PrivateKey::Generate(type)->Public();
    Json jwk = *ToJwk(key);
    EXPECT_EQ(*FromJwk(*Json::Parse(jwk.Dump())), key);
    std::string expected = type == KeyType::kRsa2048 ? "kty n e " : "kty crv x y ";
    std::string members;
    for (const Json::Member& member : *jwk.AsObject()) members += member.first + " ";
    EXPECT_EQ(members, expected);
  }
  PublicKey key = PublicHalf(EvpPkeyPtr(EVP_EC_gen("P-521")));
  EXPECT_EQ(*FromJwk(*ToJwk(key)), key);
}

TEST(JwkTest, ThumbprintIsTheStandards) {
  PublicKey key = *FromJwk(RsaJwk(kRfcModulus, "AQAB"));
  EXPECT_EQ(*JwkThumbprint(key), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

TEST(JwkTest, MembersThatOthersAddChangeNothing) {
  PublicKey key = PrivateKey::Generate(KeyType::kEcP256)->Public();
  Json jwk = *ToJwk(key);
  jwk.Set("use", "sig").Set("kid", "x").Set("x5c", Json::MakeArray());
  EXPECT_EQ(*FromJwk(jwk), key);
}

TEST(JwkTest, LeadingZerosOfNumbersAreDropped) {
  std::string modulus(1, '\0');
  modulus += *Base64UrlDecode(kRfcModulus);
  EXPECT_EQ(*FromJwk(RsaJwk(Base64UrlEncode(modulus), "AAEAAQ")),
            *FromJwk(RsaJwk(kRfcModulus, "AQAB")));
}

TEST(JwkTest, RefusesKeysThatAreBroken) {
  PublicKey key = PrivateKey::Generate(KeyType::kEcP256)->Public();
  auto refused = [&](std::string_view member, Json value) {
    Json jwk = *ToJwk(key);
    jwk.Set(member, std::move(value));
    return FromJwk(jwk).code() == Code::kInvalidArgument;
  };
  EXPECT_TRUE(refused("kty", "oct"));
  EXPECT_TRUE(refused("kty", "OKP"));
  EXPECT_TRUE(refused("kty", 1));
  EXPECT_TRUE(refused("crv", "P-384"));
  EXPECT_TRUE(refused("crv", "secp256k1"));
  EXPECT_TRUE(refused("x", "AAAA"));
  EXPECT_TRUE(refused("x", "not base64!"));
  EXPECT_TRUE(refused("x", Json(std::string(43, 'A'))));  // no such point
  EXPECT_TRUE(refused("y", Json()));
  EXPECT_TRUE(refused("d", "AQAB"));
  EXPECT_FALSE(FromJwk(Json("text")).ok());
  EXPECT_FALSE(FromJwk(RsaJwk("AQAB", "AQAB")).ok());
  EXPECT_FALSE(FromJwk(RsaJwk("", "AQAB")).ok());
}

TEST(JwkTest, Ed25519HasNoPlaceInTokens) {
  PublicKey key = PublicHalf(EvpPkeyPtr(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")));
  EXPECT_EQ(ToJwk(key).code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace writ
