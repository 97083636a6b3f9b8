// SPDX-License-Identifier: Apache-2.0
#include "core/crypto/x509.h"

#include <gtest/gtest.h>
#include <openssl/x509v3.h>

#include <array>

#include "core/base/bytes.h"
#include "core/base/file.h"
#include "core/base/json.h"
#include "core/base/thread.h"
#include "core/crypto/openssl.h"
#include "test/fake/fake_clock.h"
#include "test/fake/key_signer.h"
#include "test/fake/mutate.h"
#include "test/support/golden.h"
#include "test/support/paths.h"

namespace writ {
namespace {

constexpr int64_t kNow = 1'790'000'000;

CertificateTemplate Template(bool is_ca) {
  CertificateTemplate cert;
  cert.serial = *Serial::FromDecimal("4711");
  cert.subject = {.country = "US", .organization = "Writ", .common_name = is_ca ? "CA" : "leaf"};
  cert.not_before = FromUnixSeconds(kNow - 10);
  cert.not_after = FromUnixSeconds(kNow + 3600);
  cert.uri_sans = {is_ca ? "spiffe://example.org" : "spiffe://example.org/workload"};
  cert.is_ca = is_ca;
  return cert;
}

Certificate SelfSigned(const CertificateTemplate& cert, Signer& signer) {
  return *Certificate::FromDer(*SignSelfSigned(cert, signer));
}

Certificate Signed(const CertificateTemplate& cert, Signer& subject, const Certificate& ca,
                   Signer& signer) {
  return *Certificate::FromDer(
      *SignCertificate(cert, subject.Public(), {ca.subject_der(), ca.subject_key_id(), &signer}));
}

std::vector<Certificate> Golden() {
  return *Certificate::FromPem(*ReadFile(SourcePath("test/golden/x509/certificates_by_go.pem")));
}

TEST(SerialTest, IsShownInDecimalAndHex) {
  for (const char* decimal : {"0", "1", "9", "10", "255", "256", "18446744073709551616",
                              "340282366920938463463374607431768211455"}) {
    Result<Serial> serial = Serial::FromDecimal(decimal);
    ASSERT_TRUE(serial.ok()) << decimal;
    EXPECT_EQ(serial->ToDecimal(), decimal);
    EXPECT_EQ(*Serial::FromBigEndian(serial->big_endian()), *serial);
  }
  EXPECT_EQ(Serial::FromDecimal("256")->ToHex(), "0100");
  EXPECT_EQ(Serial::FromBigEndian(std::string_view("\0\0\x07", 3))->ToDecimal(), "7");
}

TEST(SerialTest, RefusesWhatIsNoNumberOrTooLarge) {
  for (const char* text :
       {"", "-1", "0x10", " 1", "1e3", "1461501637330902918203684832716283019655932542976",
        "99999999999999999999999999999999999999999999999999999999"}) {
    EXPECT_FALSE(Serial::FromDecimal(text).ok()) << text;
  }
  EXPECT_FALSE(Serial::FromBigEndian(std::string(21, 'x')).ok());
}

TEST(SerialTest, GeneratedOnesArePositiveDistinctAndAtMost128Bits) {
  SeededRandom random(7);
  std::string last;
  for (int i = 0; i < 1000; ++i) {
    Serial serial = Serial::Generate(random);
    EXPECT_FALSE(serial.big_endian().empty());
    EXPECT_LE(serial.big_endian().size(), 16u);
    EXPECT_NE(serial.big_endian(), last);
    last = serial.big_endian();
  }
}

TEST(CertificateTest, SaysWhatStandsInIt) {
  KeySigner ca_key(KeyType::kEcP256);
  KeySigner leaf_key(KeyType::kRsa2048);
  Certificate ca = SelfSigned(Template(true), ca_key);
  CertificateTemplate cert = Template(false);
  cert.dns_sans = {"a.example", "*.b.example"};
  Certificate leaf = Signed(cert, leaf_key, ca, ca_key);

  EXPECT_EQ(leaf.serial().ToDecimal(), "4711");
  EXPECT_EQ(leaf.not_before(), cert.not_before);
  EXPECT_EQ(leaf.not_after(), cert.not_after);
  EXPECT_EQ(leaf.public_key(), leaf_key.Public());
  EXPECT_EQ(leaf.uri_sans(), cert.uri_sans);
  EXPECT_EQ(leaf.dns_sans(), cert.dns_sans);
  EXPECT_EQ(leaf.issuer_der(), ca.subject_der());
  EXPECT_EQ(leaf.SubjectText(), "CN=leaf,O=Writ,C=US");
  EXPECT_EQ(leaf.subject_common_name(), "leaf");
  EXPECT_EQ(leaf.authority_key_id(), ca.subject_key_id());
  EXPECT_FALSE(leaf.is_ca());
  EXPECT_TRUE(leaf.has_key_usage());
  EXPECT_TRUE(leaf.can_sign_digitally());
  EXPECT_FALSE(leaf.can_sign_certificates());
  EXPECT_FALSE(leaf.self_signed());
  EXPECT_TRUE(ca.is_ca());
  EXPECT_TRUE(ca.can_sign_certificates());
  EXPECT_TRUE(ca.can_sign_crls());
  EXPECT_FALSE(ca.can_sign_digitally());
}

TEST(CertificateTest, SelfSignedNeedsTheSignatureNotTheNamesAlone) {
  KeySigner key(KeyType::kEcP256);
  KeySigner other(KeyType::kEcP256);
  Certificate ca = SelfSigned(Template(true), key);
  EXPECT_FALSE(Signed(Template(true), other, ca, key).self_signed());
}

TEST(CertificateTest, ChainsGoThroughDerAndPem) {
  std::vector<Certificate> golden = Golden();
  ASSERT_EQ(golden.size(), 12u);
  std::string der;
  std::string pem;
  for (const Certificate& certificate : golden) {
    der += certificate.der();
    pem += certificate.ToPem();
  }
  EXPECT_EQ(*Certificate::ChainFromDer(der), golden);
  EXPECT_EQ(*Certificate::FromPem(pem), golden);
  EXPECT_EQ(Certificate::ChainFromDer("").code(), Code::kInvalidArgument);
  EXPECT_FALSE(Certificate::ChainFromDer(der + "x").ok());
  EXPECT_FALSE(Certificate::FromDer(der).ok());
  EXPECT_FALSE(Certificate::FromPem("").ok());
  EXPECT_FALSE(Certificate::FromPem(pem + "-----BEGIN X-----\n-----END X-----\n").ok());
}

TEST(CertificateTest, EveryCutIsRefused) {
  std::string der = Golden()[2].der();
  for (size_t size = 0; size < der.size(); ++size) {
    EXPECT_FALSE(Certificate::FromDer(std::string_view(der).substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(Certificate::FromDer(std::string(kCertificateBytesMax + 1, '0')).ok());
}

std::vector<std::string> NamesByOpenssl(X509* x509, int kind) {
  std::vector<std::string> found;
  auto* names =
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(x509, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    if (name->type != kind) continue;
    found.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.ia5)),
                       ASN1_STRING_length(name->d.ia5));
  }
  GENERAL_NAMES_free(names);
  return found;
}

int64_t SecondsByOpenssl(const ASN1_TIME* time) {
  std::tm tm{};
  EXPECT_EQ(ASN1_TIME_to_tm(time, &tm), 1);
  constexpr int64_t kSecondsMax = 9'191'749'636;  // our times reach from 1678 to 2261
  return std::clamp<int64_t>(timegm(&tm), -kSecondsMax, kSecondsMax);
}

std::string TextOf(const ASN1_OCTET_STRING* string) {
  if (string == nullptr) return "";
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
          static_cast<size_t>(ASN1_STRING_length(string))};
}

// What it may be used for, and by whom; where an extension that we do not read is broken, OpenSSL
// says nothing, and verifies no chain with it.
void ExpectOpensslAgreesOnUses(const Certificate& ours, X509* x509) {
  uint32_t flags = X509_get_extension_flags(x509);
  if ((flags & EXFLAG_INVALID) != 0) return;
  EXPECT_EQ((flags & EXFLAG_CA) != 0, ours.is_ca());
  EXPECT_EQ((flags & EXFLAG_KUSAGE) != 0, ours.has_key_usage());
  uint32_t uses = ours.has_key_usage() ? X509_get_key_usage(x509) : 0;
  EXPECT_EQ((uses & KU_KEY_CERT_SIGN) != 0, ours.can_sign_certificates());
  EXPECT_EQ((uses & KU_CRL_SIGN) != 0, ours.can_sign_crls());
  EXPECT_EQ((uses & KU_DIGITAL_SIGNATURE) != 0, ours.can_sign_digitally());
  EXPECT_EQ(TextOf(X509_get0_subject_key_id(x509)), ours.subject_key_id());
  EXPECT_EQ(TextOf(X509_get0_authority_key_id(x509)), ours.authority_key_id());
}

void ExpectOpensslAgrees(const Certificate& ours) {
  X509* x509 = ours.x509();
  ASSERT_NE(x509, nullptr) << HexEncode(ours.der());
  EXPECT_EQ(NamesByOpenssl(x509, GEN_URI), ours.uri_sans());
  EXPECT_EQ(NamesByOpenssl(x509, GEN_DNS), ours.dns_sans());
  EXPECT_EQ(SecondsByOpenssl(X509_get0_notBefore(x509)), ToUnixSeconds(ours.not_before()));
  EXPECT_EQ(SecondsByOpenssl(X509_get0_notAfter(x509)), ToUnixSeconds(ours.not_after()));
  BignumPtr serial(ASN1_INTEGER_to_BN(X509_get0_serialNumber(x509), nullptr));
  std::string bytes(static_cast<size_t>(BN_num_bytes(serial.get())), '\0');
  BN_bn2bin(serial.get(), AsUnsigned(bytes));
  EXPECT_EQ(bytes, ours.serial().big_endian());
  EXPECT_EQ(EVP_PKEY_eq(X509_get0_pubkey(x509), ours.public_key().evp()), 1);
  ExpectOpensslAgreesOnUses(ours, x509);
}

// Whether OpenSSL reads all of it: the certificate, its key and each extension that it knows.
bool OpensslReads(std::string_view der) {
  const unsigned char* at = AsUnsigned(der);
  X509Ptr x509(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  bool read = x509 && at == AsUnsigned(der) + der.size() &&
              X509_get0_pubkey(x509.get()) != nullptr &&
              (X509_get_extension_flags(x509.get()) & EXFLAG_INVALID) == 0;
  ERR_clear_error();
  return read;
}

TEST(CertificateDifferentialTest, WhatWeReadOfMutatedBytesOpensslReadsAlike) {
  std::vector<Certificate> golden = Golden();
  Mutator mutator(20260131);
  int accepted = 0;
  for (int i = 0; i < 20'000; ++i) {
    Result<Certificate> ours =
        Certificate::FromDer(mutator.Mutate(golden[static_cast<size_t>(i) % golden.size()].der()));
    if (!ours.ok()) continue;
    ++accepted;
    ExpectOpensslAgrees(*ours);
    if (HasFailure()) FAIL() << "mutation " << i << ": " << HexEncode(ours->der());
  }
  EXPECT_GT(accepted, 1000);
}

// Certificates that are odd in one way each: core/spiffe/go_spiffe_test.cc judges them.
TEST(CertificateDifferentialTest, ReadsOddCertificatesAsOpensslDoesOrRefusesThem) {
  Json data = *Json::Parse(*ReadFile(SourcePath("test/golden/go_spiffe/x509_svid.json")));
  std::string refused;
  for (const Json& test : *data.Find("cases")->AsArray()) {
    const Json* chain = test.Find("chain");
    for (const Json& text : chain == nullptr ? Json::Array() : *chain->AsArray()) {
      std::string der = *Base64Decode(*text.AsString());
      const std::string& name = *test.Find("name")->AsString();
      Result<Certificate> ours = Certificate::FromDer(der);
      if (ours.ok()) {
        ExpectOpensslAgrees(*ours);
      } else if (OpensslReads(der)) {
        refused += name + ": " + ours.status().message() + "\n";
      }
      if (HasFailure()) FAIL() << name;
    }
  }
  ExpectGolden("test/golden/x509/refused_though_openssl_reads.txt", refused);
}

TEST(CertificateTest, ThreadsThatAskAtOnceGetTheSameObject) {
  for (const Certificate& certificate : Golden()) {
    std::array<X509*, 4> seen{};
    {
      std::vector<Thread> threads;
      for (X509*& one : seen) {
        threads.emplace_back("x509", [&](std::stop_token) { one = certificate.x509(); });
      }
    }
    for (X509* one : seen) EXPECT_EQ(one, certificate.x509());
  }
}

TEST(CertificateTest, SharesTheObjectThatOpensslParsed) {
  Certificate golden = Golden()[0];
  X509* x509 = golden.x509();
  Certificate shared = *Certificate::FromX509(x509);
  EXPECT_EQ(shared, golden);
  EXPECT_EQ(shared.x509(), x509);
}

}  // namespace
}  // namespace writ
