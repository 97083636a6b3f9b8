// SPDX-License-Identifier: Apache-2.0
#include "core/crypto/key.h"

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "core/crypto/der.h"
#include "core/crypto/digest.h"
#include "core/crypto/openssl.h"
#include "core/crypto/pem.h"
#include "core/crypto/spki.h"

namespace writ {
namespace {

constexpr SignatureScheme kAllSchemes[] = {
    SignatureScheme::kEcdsaSha256,    SignatureScheme::kEcdsaSha384,
    SignatureScheme::kEcdsaSha512,    SignatureScheme::kRsaPkcs1Sha256,
    SignatureScheme::kRsaPkcs1Sha384, SignatureScheme::kRsaPkcs1Sha512,
    SignatureScheme::kRsaPssSha256,   SignatureScheme::kRsaPssSha384,
    SignatureScheme::kRsaPssSha512,   SignatureScheme::kEd25519,
};

std::string SpkiByOpenssl(EVP_PKEY* key) {
  std::string der(static_cast<size_t>(i2d_PUBKEY(key, nullptr)), '\0');
  unsigned char* out = AsUnsigned(der);
  EXPECT_GT(i2d_PUBKEY(key, &out), 0);
  return der;
}

Secret Pkcs8ByOpenssl(EVP_PKEY* key) {
  std::unique_ptr<PKCS8_PRIV_KEY_INFO, OpensslFree<PKCS8_PRIV_KEY_INFO_free>> info(
      EVP_PKEY2PKCS8(key));
  std::string der(static_cast<size_t>(i2d_PKCS8_PRIV_KEY_INFO(info.get(), nullptr)), '\0');
  unsigned char* out = AsUnsigned(der);
  EXPECT_GT(i2d_PKCS8_PRIV_KEY_INFO(info.get(), &out), 0);
  return Secret(std::move(der));
}

// One key of every family, made by OpenSSL alone.
std::vector<EvpPkeyPtr> KeysByOpenssl() {
  std::vector<EvpPkeyPtr> keys;
  keys.emplace_back(EVP_EC_gen("P-256"));
  keys.emplace_back(EVP_EC_gen("P-384"));
  keys.emplace_back(EVP_EC_gen("P-521"));
  keys.emplace_back(EVP_RSA_gen(2048));
  keys.emplace_back(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  return keys;
}

TEST(KeyTypeTest, NamesGoBothWays) {
  for (KeyType type : {KeyType::kEcP256, KeyType::kEcP384, KeyType::kRsa2048, KeyType::kRsa4096}) {
    EXPECT_EQ(*ParseKeyType(KeyTypeName(type)), type);
  }
  EXPECT_EQ(ParseKeyType("ec-p521").code(), Code::kInvalidArgument);
}

TEST(PublicKeyTest, ReadsWhatOpensslWritesOfEveryFamily) {
  const char* descriptions[] = {"EC P-256", "EC P-384", "EC P-521", "RSA 2048", "Ed25519"};
  std::vector<EvpPkeyPtr> keys = KeysByOpenssl();
  for (size_t i = 0; i < keys.size(); ++i) {
    std::string spki = SpkiByOpenssl(keys[i].get());
    Result<PublicKey> key = PublicKey::FromSpki(spki);
    ASSERT_TRUE(key.ok()) << key.status().ToString();
    EXPECT_EQ(key->Describe(), descriptions[i]);
    EXPECT_EQ(SpkiByOpenssl(key->evp()), spki);
    EXPECT_EQ(EVP_PKEY_eq(key->evp(), keys[i].get()), 1);
  }
}

TEST(PublicKeyTest, KeyIdIsSha1OfTheKeyBits) {
  PrivateKey key = *PrivateKey::Generate(KeyType::kEcP256);
  const std::string& spki = key.Public().spki();
  EXPECT_EQ(key.Public().key_id_sha1(), Sha1(std::string_view(spki).substr(spki.size() - 65)));
}

TEST(PublicKeyTest, RefusesAPointOffTheCurve) {
  std::string spki = PrivateKey::Generate(KeyType::kEcP256)->Public().spki();
  spki.back() = static_cast<char>(spki.back() ^ 1);
  EXPECT_EQ(PublicKey::FromSpki(spki).code(), Code::kInvalidArgument);
}

TEST(PublicKeyTest, RefusesTrailingAndMissingBytes) {
  std::string spki = PrivateKey::Generate(KeyType::kEcP384)->Public().spki();
  EXPECT_FALSE(PublicKey::FromSpki(spki + '\0').ok());
  for (size_t size = 0; size < spki.size(); ++size) {
    EXPECT_FALSE(PublicKey::FromSpki(std::string_view(spki).substr(0, size)).ok()) << size;
  }
}

TEST(PublicKeyTest, RefusesUnknownCurvesAlgorithmsAndForms) {
  EvpPkeyPtr other(EVP_EC_gen("secp256k1"));
  EXPECT_FALSE(PublicKey::FromSpki(SpkiByOpenssl(other.get())).ok());
  EvpPkeyPtr x25519(EVP_PKEY_Q_keygen(nullptr, nullptr, "X25519"));
  EXPECT_FALSE(PublicKey::FromSpki(SpkiByOpenssl(x25519.get())).ok());
  const CurveFacts& curve = *FindCurve(KeyFamily::kEcP256);
  EXPECT_FALSE(PublicKey::FromSpki(MakeEcSpki(curve, std::string(1, '\0'))).ok());  // infinity
  std::string compressed = "\x02" + std::string(32, '\x11');
  EXPECT_FALSE(PublicKey::FromSpki(MakeEcSpki(curve, compressed)).ok());
}

TEST(PublicKeyTest, BoundsRsaKeys) {
  auto spki_of = [](size_t bytes, std::string_view exponent) {
    return MakeRsaSpki(std::string(bytes, '\xff'), exponent);
  };
  std::string_view usual("\x01\x00\x01", 3);
  EXPECT_TRUE(PublicKey::FromSpki(spki_of(256, usual)).ok());
  EXPECT_TRUE(PublicKey::FromSpki(spki_of(1024, usual)).ok());
  EXPECT_FALSE(PublicKey::FromSpki(spki_of(255, usual)).ok());
  EXPECT_FALSE(PublicKey::FromSpki(spki_of(1025, usual)).ok());
  EXPECT_FALSE(PublicKey::FromSpki(spki_of(256, "\x01")).ok());
  EXPECT_FALSE(PublicKey::FromSpki(spki_of(256, "\x04")).ok());
  EXPECT_FALSE(PublicKey::FromSpki(spki_of(256, "\x01\x01\x01\x01\x01")).ok());
}

TEST(PrivateKeyTest, GeneratesEveryTypeAndSignsWithEverySchemeThatFits) {
  for (KeyType type : {KeyType::kEcP256, KeyType::kEcP384, KeyType::kRsa2048}) {
    PrivateKey key = *PrivateKey::Generate(type);
    int fitting = 0;
    for (SignatureScheme scheme : kAllSchemes) {
      Result<std::string> signature = key.Sign(scheme, "message");
      if (!signature.ok()) {
        EXPECT_EQ(signature.code(), Code::kInvalidArgument);
        EXPECT_EQ(key.Public().Verify(scheme, "message", "x").code(), Code::kInvalidArgument);
        continue;
      }
      ++fitting;
      EXPECT_TRUE(key.Public().Verify(scheme, "message", *signature).ok());
      EXPECT_EQ(key.Public().Verify(scheme, "massage", *signature).code(), Code::kPermissionDenied);
      signature->back() = static_cast<char>(signature->back() ^ 1);
      EXPECT_EQ(key.Public().Verify(scheme, "message", *signature).code(), Code::kPermissionDenied);
      EXPECT_EQ(key.Public().Verify(scheme, "message", "").code(), Code::kPermissionDenied);
    }
    EXPECT_EQ(fitting, type == KeyType::kRsa2048 ? 6 : 3) << KeyTypeName(type);
  }
}

TEST(PrivateKeyTest, ReadsWhatOpensslWritesOfEveryFamily) {
  for (const EvpPkeyPtr& made : KeysByOpenssl()) {
    Result<PrivateKey> key = PrivateKey::FromPkcs8(Pkcs8ByOpenssl(made.get()));
    ASSERT_TRUE(key.ok()) << key.status().ToString();
    EXPECT_EQ(key->Public().spki(), SpkiByOpenssl(made.get()));
    std::string signature = *key->Sign(DefaultScheme(key->Public()), "message");
    EXPECT_TRUE(key->Public().Verify(DefaultScheme(key->Public()), "message", signature).ok());
  }
}

TEST(PrivateKeyTest, ExportsExactlyWhatOpensslWould) {
  for (const EvpPkeyPtr& made : KeysByOpenssl()) {
    Secret expected = Pkcs8ByOpenssl(made.get());
    EXPECT_TRUE(*PrivateKey::FromPkcs8(expected)->ExportPkcs8() == expected);
  }
}

TEST(PrivateKeyTest, ExportPadsAShortScalar) {
  // RFC 5915 wants the scalar at full length; one key in 256 begins with a zero byte.
  for (int i = 0; i < 10'000; ++i) {
    PrivateKey key = *PrivateKey::Generate(KeyType::kEcP256);
    Secret der = *key.ExportPkcs8();
    ASSERT_EQ(der.size(), 138u);
    if (der.Reveal()[36] != 0) continue;
    EXPECT_EQ(PrivateKey::FromPkcs8(der)->Public(), key.Public());
    return;
  }
  FAIL() << "no scalar of 10,000 began with a zero byte";
}

TEST(PrivateKeyTest, RefusesBrokenFilesAndHalvesThatDoNotMatch) {
  PrivateKey key = *PrivateKey::Generate(KeyType::kEcP256);
  std::string der(key.ExportPkcs8()->Reveal());
  EXPECT_FALSE(PrivateKey::FromPkcs8(Secret(der + "x")).ok());
  EXPECT_FALSE(PrivateKey::FromPkcs8(Secret(der.substr(0, der.size() - 1))).ok());
  EXPECT_FALSE(PrivateKey::FromPkcs8(Secret("")).ok());
  std::string other(PrivateKey::Generate(KeyType::kEcP256)->ExportPkcs8()->Reveal());
  std::string mixed = der.substr(0, der.size() - 65) + other.substr(other.size() - 65);
  EXPECT_EQ(PrivateKey::FromPkcs8(Secret(std::move(mixed))).code(), Code::kInvalidArgument);
}

std::string PemByOpenssl(EVP_PKEY* key, int (*write)(BIO*, const EVP_PKEY*)) {
  std::unique_ptr<BIO, OpensslFree<BIO_free>> bio(BIO_new(BIO_s_mem()));
  EXPECT_EQ(write(bio.get(), key), 1);
  char* text = nullptr;
  long size = BIO_get_mem_data(bio.get(), &text);
  return std::string(text, static_cast<size_t>(size));
}

TEST(PrivateKeyTest, ReadsPemOfEveryKind) {
  auto pkcs8 = [](BIO* bio, const EVP_PKEY* key) {
    return PEM_write_bio_PKCS8PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
  };
  auto traditional = [](BIO* bio, const EVP_PKEY* key) {
    return PEM_write_bio_PrivateKey_traditional(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
  };
  for (const EvpPkeyPtr& made : KeysByOpenssl()) {
    for (bool old : {false, true}) {
      if (old && EVP_PKEY_is_a(made.get(), "ED25519")) continue;  // has no older form
      std::string pem = old ? PemByOpenssl(made.get(), traditional)
                            : PemByOpenssl(made.get(), pkcs8);
      Result<PrivateKey> key =
          PrivateKey::FromPem(Secret(PemEncode("EC PARAMETERS", "x") + std::move(pem)));
      ASSERT_TRUE(key.ok()) << key.status().ToString();
      EXPECT_EQ(key->Public().spki(), SpkiByOpenssl(made.get()));
    }
  }
}

TEST(PrivateKeyTest, RefusesPemWithoutAKeyInIt) {
  EXPECT_FALSE(PrivateKey::FromPem(Secret("no PEM")).ok());
  EXPECT_FALSE(PrivateKey::FromPem(Secret(PemEncode("CERTIFICATE", "x"))).ok());
  for (const char* label : {"PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"}) {
    EXPECT_EQ(PrivateKey::FromPem(Secret(PemEncode(label, "x"))).code(), Code::kInvalidArgument);
  }
  EXPECT_FALSE(PrivateKey::FromPem(Secret(PemEncode("ENCRYPTED PRIVATE KEY", "x"))).ok());
}

TEST(PublicKeyTest, PssOfAnySaltIsTakenWhereItIsAskedFor) {
  PrivateKey key = *PrivateKey::Generate(KeyType::kRsa2048);
  std::string scheme_salt = *key.Sign(SignatureScheme::kRsaPssSha256, "message");
  EXPECT_TRUE(key.Public().VerifyPssOfAnySalt("message", scheme_salt).ok());
  EXPECT_EQ(key.Public().VerifyPssOfAnySalt("massage", scheme_salt).code(),
            Code::kPermissionDenied);
  std::string pkcs1 = *key.Sign(SignatureScheme::kRsaPkcs1Sha256, "message");
  EXPECT_EQ(key.Public().VerifyPssOfAnySalt("message", pkcs1).code(), Code::kPermissionDenied);
  PrivateKey ec = *PrivateKey::Generate(KeyType::kEcP256);
  EXPECT_EQ(ec.Public().VerifyPssOfAnySalt("message", scheme_salt).code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace writ
