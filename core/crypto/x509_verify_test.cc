// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "core/base/file.h"
#include "core/crypto/x509.h"
#include "test/fake/key_signer.h"
#include "test/support/paths.h"

namespace writ {
namespace {

constexpr int64_t kNow = 1'790'000'000;

// A root, an intermediate and a leaf, each with its own key.
class VerifyChainTest : public testing::Test {
 protected:
  static CertificateTemplate Template(std::string_view name, bool is_ca) {
    CertificateTemplate cert;
    cert.serial = *Serial::FromDecimal("4711");
    cert.subject = {.organization = "Writ", .common_name = std::string(name)};
    cert.not_before = FromUnixSeconds(kNow - 10);
    cert.not_after = FromUnixSeconds(kNow + 3600);
    cert.uri_sans = {is_ca ? "spiffe://example.org" : "spiffe://example.org/workload"};
    cert.is_ca = is_ca;
    return cert;
  }

  static Certificate Sign(const CertificateTemplate& cert, Signer& subject, const Certificate& ca,
                          Signer& signer) {
    return *Certificate::FromDer(
        *SignCertificate(cert, subject.Public(), {ca.subject_der(), ca.subject_key_id(), &signer}));
  }

  static Result<std::vector<Certificate>> Verify(std::vector<Certificate> chain,
                                                 std::vector<Certificate> roots,
                                                 int64_t now = kNow) {
    return VerifyChain(chain, roots, FromUnixSeconds(now));
  }

  KeySigner root_key_{KeyType::kEcP256};
  KeySigner middle_key_{KeyType::kEcP384};
  KeySigner leaf_key_{KeyType::kEcP256};
  Certificate root_ = *Certificate::FromDer(*SignSelfSigned(Template("root", true), root_key_));
  Certificate middle_ = Sign(Template("middle", true), middle_key_, root_, root_key_);
  Certificate leaf_ = Sign(Template("leaf", false), leaf_key_, middle_, middle_key_);
  Certificate direct_ = Sign(Template("direct", false), leaf_key_, root_, root_key_);
};

TEST_F(VerifyChainTest, ReturnsThePathFromLeafToRoot) {
  EXPECT_EQ(*Verify({direct_}, {root_}), (std::vector{direct_, root_}));
  EXPECT_EQ(*Verify({leaf_, middle_}, {root_}), (std::vector{leaf_, middle_, root_}));
  EXPECT_EQ(*Verify({leaf_, middle_, root_}, {root_}), (std::vector{leaf_, middle_, root_}));
}

TEST_F(VerifyChainTest, EndsAtARootThatIsNotSelfSigned) {
  EXPECT_EQ(*Verify({leaf_}, {middle_}), (std::vector{leaf_, middle_}));
}

TEST_F(VerifyChainTest, FindsTheRightOneOfManyRoots) {
  KeySigner other_key(KeyType::kEcP256);
  // The same name, another key: only the key identifier tells them apart.
  Certificate namesake = *Certificate::FromDer(*SignSelfSigned(Template("root", true), other_key));
  EXPECT_EQ(*Verify({direct_}, {namesake, root_}), (std::vector{direct_, root_}));
  EXPECT_EQ(Verify({direct_}, {namesake}).code(), Code::kPermissionDenied);
  EXPECT_EQ(*Verify({direct_}, {root_, root_, middle_}), (std::vector{direct_, root_}));
}

TEST_F(VerifyChainTest, RefusesAMissingLinkAndNoRootsAtAll) {
  EXPECT_EQ(Verify({leaf_}, {root_}).code(), Code::kPermissionDenied);
  EXPECT_EQ(Verify({leaf_, middle_, root_}, {}).code(), Code::kPermissionDenied);
  EXPECT_EQ(Verify({}, {root_}).code(), Code::kInvalidArgument);
}

TEST_F(VerifyChainTest, HoldsEveryCertificateToTheGivenTime) {
  EXPECT_TRUE(Verify({leaf_, middle_}, {root_}, kNow + 3599).ok());
  Status late = Verify({leaf_, middle_}, {root_}, kNow + 3601).status();
  EXPECT_EQ(late.code(), Code::kPermissionDenied);
  EXPECT_NE(late.message().find("expired"), std::string::npos) << late.message();
  EXPECT_FALSE(Verify({leaf_, middle_}, {root_}, kNow - 11).ok());

  CertificateTemplate brief = Template("brief", true);
  brief.not_after = FromUnixSeconds(kNow + 60);
  Certificate brief_middle = Sign(brief, middle_key_, root_, root_key_);
  Certificate leaf = Sign(Template("leaf", false), leaf_key_, brief_middle, middle_key_);
  EXPECT_TRUE(Verify({leaf, brief_middle}, {root_}, kNow).ok());
  EXPECT_FALSE(Verify({leaf, brief_middle}, {root_}, kNow + 61).ok());
}

TEST_F(VerifyChainTest, RefusesSignaturesByTheWrongKey) {
  Certificate forged = Sign(Template("forged", false), leaf_key_, root_, middle_key_);
  EXPECT_EQ(Verify({forged}, {root_}).code(), Code::kPermissionDenied);
}

TEST_F(VerifyChainTest, RefusesALeafThatSigns) {
  Certificate below_leaf = Sign(Template("below", false), middle_key_, direct_, leaf_key_);
  EXPECT_EQ(Verify({below_leaf, direct_}, {root_}).code(), Code::kPermissionDenied);
}

TEST_F(VerifyChainTest, BoundsTheLengthOfAChain) {
  std::vector<Certificate> chain(kChainLengthMax + 1, leaf_);
  EXPECT_EQ(Verify(chain, {root_}).code(), Code::kInvalidArgument);
}

TEST_F(VerifyChainTest, VerifiesWhatGoIssued) {
  std::vector<Certificate> golden =
      *Certificate::FromPem(*ReadFile(SourcePath("test/golden/x509/certificates_by_go.pem")));
  for (size_t i = 0; i < golden.size(); i += 4) {
    for (size_t j = 1; j < 4; ++j) {
      EXPECT_TRUE(Verify({golden[i + j]}, {golden[0], golden[4], golden[8]}).ok()) << i << " " << j;
    }
  }
}

}  // namespace
}  // namespace writ
