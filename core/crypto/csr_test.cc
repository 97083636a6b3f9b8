// SPDX-License-Identifier: Apache-2.0
#include "core/crypto/csr.h"

#include <gtest/gtest.h>
#include <openssl/x509v3.h>

#include "core/base/bytes.h"
#include "core/crypto/der.h"
#include "core/crypto/openssl.h"
#include "core/crypto/signature.h"
#include "core/crypto/signed.h"
#include "test/fake/key_signer.h"
#include "test/fake/mutate.h"

namespace writ {
namespace {

X509ReqPtr ParseByOpenssl(const std::string& der) {
  const unsigned char* at = AsUnsigned(der);
  X509ReqPtr request(d2i_X509_REQ(nullptr, &at, static_cast<long>(der.size())));
  if (at != AsUnsigned(der) + der.size()) return nullptr;
  return request;
}

std::vector<std::string> NamesByOpenssl(X509_REQ* request, int kind) {
  std::vector<std::string> found;
  STACK_OF(X509_EXTENSION)* extensions = X509_REQ_get_extensions(request);
  auto* names = static_cast<GENERAL_NAMES*>(
      X509V3_get_d2i(extensions, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    if (name->type != kind) continue;
    found.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.ia5)),
                       ASN1_STRING_length(name->d.ia5));
  }
  GENERAL_NAMES_free(names);
  sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
  return found;
}

void ExpectOpensslAgrees(const std::string& der, const Csr& ours) {
  X509ReqPtr theirs = ParseByOpenssl(der);
  ASSERT_TRUE(theirs) << TakeOpensslError();
  EXPECT_EQ(EVP_PKEY_eq(X509_REQ_get0_pubkey(theirs.get()), ours.key.evp()), 1);
  EXPECT_EQ(X509_REQ_verify(theirs.get(), ours.key.evp()), 1);
  EXPECT_EQ(NamesByOpenssl(theirs.get(), GEN_URI), ours.uri_sans);
  EXPECT_EQ(NamesByOpenssl(theirs.get(), GEN_DNS), ours.dns_sans);
  const X509_NAME* subject = X509_REQ_get_subject_name(theirs.get());
  const unsigned char* name = nullptr;
  size_t size = 0;
  ASSERT_EQ(X509_NAME_get0_der(subject, &name, &size), 1);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(name), size), ours.subject_der);
}

CsrTemplate FullTemplate() {
  return {.subject = {.country = "US", .organization = "Writ", .common_name = "db"},
          .uri_sans = {"spiffe://example.org/db"},
          .dns_sans = {"db.internal", "*.db.internal"}};
}

std::string InfoOf(const std::string& csr) { return std::string(ParseSigned(csr)->to_be_signed); }

TEST(CsrTest, SaysWhatWasAskedForWithEveryKeyType) {
  for (KeyType type : {KeyType::kEcP256, KeyType::kEcP384, KeyType::kRsa2048}) {
    KeySigner signer(type);
    std::string der = *MakeCsr(FullTemplate(), signer);
    Result<Csr> csr = ParseCsr(der);
    ASSERT_TRUE(csr.ok()) << csr.status().ToString();
    EXPECT_EQ(csr->key, signer.Public());
    EXPECT_EQ(csr->common_name, "db");
    EXPECT_EQ(csr->uri_sans, FullTemplate().uri_sans);
    EXPECT_EQ(csr->dns_sans, FullTemplate().dns_sans);
    ExpectOpensslAgrees(der, *csr);
  }
}

TEST(CsrTest, AnEmptyRequestCarriesTheKeyAlone) {
  KeySigner signer(KeyType::kEcP256);
  std::string der = *MakeCsr({}, signer);
  Result<Csr> csr = ParseCsr(der);
  ASSERT_TRUE(csr.ok()) << csr.status().ToString();
  EXPECT_TRUE(csr->uri_sans.empty());
  EXPECT_EQ(csr->subject_der, std::string("\x30\x00", 2));
  ExpectOpensslAgrees(der, *csr);
}

// A request that OpenSSL makes, with any key and digest.
std::string MadeByOpenssl(EVP_PKEY* key, const EVP_MD* digest, bool pss) {
  X509ReqPtr request(X509_REQ_new());
  X509_REQ_set_pubkey(request.get(), key);
  X509_NAME* name = X509_REQ_get_subject_name(request.get());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, AsUnsigned("Größe"), -1, -1, 0);
  EvpMdCtxPtr context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* key_context = nullptr;
  EVP_DigestSignInit(context.get(), &key_context, digest, nullptr, key);
  if (pss) {
    EVP_PKEY_CTX_set_rsa_padding(key_context, RSA_PKCS1_PSS_PADDING);
    EVP_PKEY_CTX_set_rsa_pss_saltlen(key_context, RSA_PSS_SALTLEN_DIGEST);
  }
  EXPECT_GT(X509_REQ_sign_ctx(request.get(), context.get()), 0) << TakeOpensslError();
  std::string der(static_cast<size_t>(i2d_X509_REQ(request.get(), nullptr)), '\0');
  unsigned char* out = AsUnsigned(der);
  i2d_X509_REQ(request.get(), &out);
  return der;
}

TEST(CsrTest, TakesEveryKeyFamilyAndSignatureThatOpensslMakes) {
  EvpPkeyPtr p521(EVP_EC_gen("P-521"));
  EvpPkeyPtr p256(EVP_EC_gen("P-256"));
  EvpPkeyPtr rsa(EVP_RSA_gen(2048));
  EvpPkeyPtr ed25519(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  struct {
    EVP_PKEY* key;
    const EVP_MD* digest;
    bool pss;
  } cases[] = {
      {p521.get(), EVP_sha512(), false}, {p256.get(), EVP_sha384(), false},
      {rsa.get(), EVP_sha256(), false},  {rsa.get(), EVP_sha512(), false},
      {rsa.get(), EVP_sha256(), true},   {rsa.get(), EVP_sha384(), true},
      {ed25519.get(), nullptr, false},
  };
  for (const auto& c : cases) {
    std::string der = MadeByOpenssl(c.key, c.digest, c.pss);
    Result<Csr> csr = ParseCsr(der);
    ASSERT_TRUE(csr.ok()) << csr.status().ToString();
    EXPECT_EQ(csr->common_name, "Größe");
    ExpectOpensslAgrees(der, *csr);
  }
  EXPECT_FALSE(ParseCsr(MadeByOpenssl(p256.get(), EVP_sha1(), false)).ok());
}

TEST(CsrTest, RefusesASignatureThatIsNotTheKeysOwn) {
  KeySigner signer(KeyType::kEcP256);
  KeySigner other(KeyType::kEcP256);
  std::string info = InfoOf(*MakeCsr(FullTemplate(), signer));
  Status status = ParseCsr(*SignDer(info, other)).status();
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  EXPECT_NE(status.message().find("signature"), std::string::npos);
}

TEST(CsrTest, RefusesCutsTrailingBytesAndHugeOnes) {
  KeySigner signer(KeyType::kEcP256);
  std::string der = *MakeCsr(FullTemplate(), signer);
  for (size_t size = 0; size < der.size(); ++size) {
    EXPECT_EQ(ParseCsr(std::string_view(der).substr(0, size)).code(), Code::kInvalidArgument);
  }
  EXPECT_FALSE(ParseCsr(der + '\0').ok());
  EXPECT_FALSE(ParseCsr(std::string(kCsrBytesMax + 1, '0')).ok());
}

TEST(CsrTest, RefusesNamesThatAreNotAscii) {
  KeySigner signer(KeyType::kEcP256);
  EXPECT_FALSE(MakeCsr({.uri_sans = {"spiffe://example.org/größe"}}, signer).ok());
  std::string info = InfoOf(*MakeCsr({.dns_sans = {"a-b"}}, signer));
  info[info.find("a-b") + 1] = '\0';
  EXPECT_FALSE(ParseCsr(*SignDer(info, signer)).ok());
}

TEST(CsrDifferentialTest, WhatWeTakeOfMutatedRequestsOpensslTakesAlike) {
  KeySigner signer(KeyType::kEcP256);
  Mutator mutator(20260131);
  std::string info = InfoOf(*MakeCsr(FullTemplate(), signer));
  int accepted = 0;
  for (int i = 0; i < 10'000; ++i) {
    // Signed anew, so that the readers differ over the request and not over its signature.
    std::string der = *SignDer(mutator.Mutate(info), signer);
    Result<Csr> ours = ParseCsr(der);
    if (!ours.ok()) continue;
    ++accepted;
    ExpectOpensslAgrees(der, *ours);
    if (HasFailure()) FAIL() << "mutation " << i << ": " << HexEncode(der);
  }
  EXPECT_GT(accepted, 300);
}

}  // namespace
}  // namespace writ
