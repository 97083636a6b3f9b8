// SPDX-License-Identifier: Apache-2.0
//
// The certificate writer is held to Go's writer (golden certificates) and to OpenSSL's reader.
#include <gtest/gtest.h>
#include <openssl/x509v3.h>

#include "core/base/file.h"
#include "core/crypto/openssl.h"
#include "core/crypto/signed.h"
#include "core/crypto/x509.h"
#include "test/fake/fake_clock.h"
#include "test/fake/key_signer.h"
#include "test/support/paths.h"

namespace writ {
namespace {

constexpr int64_t kNow = 1'790'000'000;

X509Ptr ParseByOpenssl(const std::string& der) {
  const unsigned char* at = AsUnsigned(der);
  X509Ptr x509(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  EXPECT_TRUE(x509) << TakeOpensslError();
  EXPECT_EQ(at, AsUnsigned(der) + der.size());
  return x509;
}

// OpenSSL's own encoding of the parsed fields, not its cached copy of our bytes.
std::string EncodeAgain(X509* x509) {
  std::string der(static_cast<size_t>(i2d_re_X509_tbs(x509, nullptr)), '\0');
  unsigned char* out = AsUnsigned(der);
  EXPECT_GT(i2d_re_X509_tbs(x509, &out), 0);
  return der;
}

std::string ToBeSigned(const Certificate& certificate) {
  return std::string(ParseSigned(certificate.der())->to_be_signed);
}

CertificateTemplate LeafTemplate() {
  CertificateTemplate leaf;
  leaf.serial = *Serial::FromDecimal("4711");
  leaf.subject = {.country = "US", .organization = "Writ"};
  leaf.not_before = FromUnixSeconds(kNow);
  leaf.not_after = FromUnixSeconds(kNow + 3600);
  leaf.uri_sans = {"spiffe://example.org/workload"};
  return leaf;
}

CertificateTemplate CaTemplate() {
  CertificateTemplate ca = LeafTemplate();
  ca.uri_sans = {"spiffe://example.org"};
  ca.subject.serial_number = "4711";
  ca.is_ca = true;
  return ca;
}

class GoWriterTest : public testing::Test {
 protected:
  // Authorities and leaves in turn: each authority is followed by its three leaves.
  std::vector<Certificate> golden_ =
      *Certificate::FromPem(*ReadFile(SourcePath("test/golden/x509/certificates_by_go.pem")));
};

// Signs nothing: the bytes to be signed are what is compared.
class KeyWithoutSignatures final : public Signer {
 public:
  explicit KeyWithoutSignatures(PublicKey key) : key_(std::move(key)) {}
  const PublicKey& Public() const override { return key_; }
  Result<std::string> Sign(SignatureScheme, std::string_view) override { return std::string("x"); }

 private:
  PublicKey key_;
};

TEST_F(GoWriterTest, AuthoritiesAreTheSameByteForByte) {
  for (size_t i = 0; i < golden_.size(); i += 4) {
    CertificateTemplate ca = CaTemplate();
    ca.serial = *Serial::FromDecimal("340282366920938463463374607431768211455");
    ca.subject.serial_number = ca.serial.ToDecimal();
    ca.not_after = FromUnixSeconds(2'600'000'000);
    KeyWithoutSignatures signer(golden_[i].public_key());
    Certificate ours = *Certificate::FromDer(*SignSelfSigned(ca, signer));
    EXPECT_EQ(ToBeSigned(ours), ToBeSigned(golden_[i])) << i;
  }
}

TEST_F(GoWriterTest, LeavesAreTheSameByteForByte) {
  const Subject subjects[] = {
      {.country = "US", .organization = "SPIRE"},
      {.country = "US",
       .organization = "Größe & Co",
       .organizational_unit = "a*b",
       .common_name = "*.example.org"},
      {},
  };
  const std::vector<std::string> dns[] = {
      {}, {"*.example.org", "db.internal"}, {"only.example.org"}};
  const char* serials[] = {"127", "128", "65535"};
  for (size_t i = 0; i < golden_.size(); i += 4) {
    const Certificate& ca = golden_[i];
    KeyWithoutSignatures signer(ca.public_key());
    for (size_t j = 0; j < 3; ++j) {
      CertificateTemplate leaf = LeafTemplate();
      leaf.serial = *Serial::FromDecimal(serials[j]);
      leaf.subject = subjects[j];
      leaf.dns_sans = dns[j];
      const Certificate& theirs = golden_[i + 1 + j];
      std::string der = *SignCertificate(leaf, theirs.public_key(),
                                         {ca.subject_der(), ca.subject_key_id(), &signer});
      EXPECT_EQ(ToBeSigned(*Certificate::FromDer(der)), ToBeSigned(theirs)) << i << " " << j;
    }
  }
}

TEST(CertificateWriterTest, OpensslReadsVerifiesAndEncodesTheSame) {
  SeededRandom random(1);
  KeySigner workload(KeyType::kEcP256);
  for (KeyType type : {KeyType::kEcP256, KeyType::kEcP384, KeyType::kRsa2048}) {
    KeySigner signer(type);
    CertificateTemplate ca_template = CaTemplate();
    Certificate ca = *Certificate::FromDer(*SignSelfSigned(ca_template, signer));
    X509Ptr openssl_ca = ParseByOpenssl(ca.der());
    EXPECT_EQ(X509_verify(openssl_ca.get(), signer.Public().evp()), 1);
    EXPECT_EQ(EncodeAgain(openssl_ca.get()), ToBeSigned(ca));
    EXPECT_EQ(X509_check_ca(openssl_ca.get()), 1);

    for (int i = 0; i < 50; ++i) {
      CertificateTemplate leaf = LeafTemplate();
      leaf.serial = Serial::Generate(random);
      int64_t lifetime_seconds = static_cast<int64_t>(random.Uint64() % 4'000'000'000);
      leaf.not_after = FromUnixSeconds(kNow + lifetime_seconds);
      for (int n = 0; n < i % 5; ++n) leaf.dns_sans.push_back("host" + std::to_string(n) + ".test");
      std::string der = *SignCertificate(leaf, workload.Public(),
                                         {ca.subject_der(), ca.subject_key_id(), &signer});
      X509Ptr x509 = ParseByOpenssl(der);
      Certificate ours = *Certificate::FromDer(der);
      EXPECT_EQ(X509_verify(x509.get(), signer.Public().evp()), 1);
      EXPECT_EQ(EncodeAgain(x509.get()), ToBeSigned(ours));
      EXPECT_EQ(X509_check_issued(openssl_ca.get(), x509.get()), X509_V_OK);
      EXPECT_EQ(X509_get_key_usage(x509.get()),
                static_cast<unsigned>(X509v3_KU_DIGITAL_SIGNATURE | X509v3_KU_KEY_ENCIPHERMENT |
                                      X509v3_KU_KEY_AGREEMENT));
      EXPECT_EQ(X509_get_extended_key_usage(x509.get()),
                static_cast<unsigned>(XKU_SSL_SERVER | XKU_SSL_CLIENT));
      EXPECT_EQ(X509_check_ca(x509.get()), 0);
      EXPECT_EQ(ours.serial(), leaf.serial);
      EXPECT_EQ(ours.not_after(), leaf.not_after);
      EXPECT_EQ(ours.dns_sans(), leaf.dns_sans);
      EXPECT_EQ(ours.uri_sans(), leaf.uri_sans);
      EXPECT_EQ(ours.authority_key_id(), ca.subject_key_id());
    }
  }
}

TEST(CertificateWriterTest, SelfSignedOnesHaveNoAuthorityKeyId) {
  KeySigner signer(KeyType::kEcP256);
  Certificate ca = *Certificate::FromDer(*SignSelfSigned(CaTemplate(), signer));
  EXPECT_TRUE(ca.authority_key_id().empty());
  EXPECT_EQ(ca.subject_key_id(), signer.Public().key_id_sha1());
  EXPECT_TRUE(ca.self_signed());
}

TEST(CertificateWriterTest, TakesAGivenSubjectAsItStands) {
  KeySigner signer(KeyType::kEcP256);
  CertificateTemplate leaf = LeafTemplate();
  leaf.subject_der = *WithCommonName(std::string("\x30\x00", 2), "db.internal");
  Certificate certificate = *Certificate::FromDer(*SignSelfSigned(leaf, signer));
  EXPECT_EQ(certificate.SubjectText(), "CN=db.internal");
  leaf.subject_der = "junk";
  EXPECT_EQ(SignSelfSigned(leaf, signer).code(), Code::kInvalidArgument);
}

TEST(CertificateWriterTest, RefusesTemplatesThatNobodyCouldRead) {
  KeySigner signer(KeyType::kEcP256);
  auto code = [&](auto change) {
    CertificateTemplate leaf = LeafTemplate();
    change(leaf);
    return SignSelfSigned(leaf, signer).code();
  };
  EXPECT_EQ(code([](auto&) {}), Code::kOk);
  EXPECT_EQ(code([](auto& t) { t.serial = Serial(); }), Code::kInvalidArgument);
  EXPECT_EQ(code([](auto& t) { t.not_after = t.not_before - std::chrono::seconds(1); }),
            Code::kInvalidArgument);
  EXPECT_EQ(code([](auto& t) { t.dns_sans = {"größe.example"}; }), Code::kInvalidArgument);
  EXPECT_EQ(code([](auto& t) { t.uri_sans = {""}; }), Code::kInvalidArgument);
}

TEST(WithCommonNameTest, ReplacesAddsAndRemoves) {
  KeySigner signer(KeyType::kEcP256);
  auto text = [&](Subject subject, std::string_view common_name) {
    CertificateTemplate leaf = LeafTemplate();
    leaf.subject = std::move(subject);
    std::string name = Certificate::FromDer(*SignSelfSigned(leaf, signer))->subject_der();
    leaf.subject_der = *WithCommonName(name, common_name);
    return Certificate::FromDer(*SignSelfSigned(leaf, signer))->SubjectText();
  };
  EXPECT_EQ(text({.organization = "A", .common_name = "old"}, "new"), "CN=new,O=A");
  EXPECT_EQ(text({.organization = "A"}, "new"), "CN=new,O=A");
  EXPECT_EQ(text({.organization = "A", .common_name = "old"}, ""), "O=A");
  EXPECT_FALSE(WithCommonName("junk", "new").ok());
}

}  // namespace
}  // namespace writ
