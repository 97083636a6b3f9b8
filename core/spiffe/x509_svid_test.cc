// SPDX-License-Identifier: Apache-2.0
//
// X509-SVID clause by clause. What our own writer cannot write comes from test/golden/x509_svid.
#include <gtest/gtest.h>

#include "core/base/file.h"
#include "core/spiffe/svid.h"
#include "test/support/paths.h"

namespace writ {
namespace {

class X509SvidTest : public testing::Test {
 protected:
  static std::vector<Certificate> Golden(const std::string& name) {
    std::string pem = ReadFile(SourcePath("test/golden/x509_svid/" + name + ".pem")).value();
    return Certificate::FromPem(pem).value();
  }
  Bundle BundleOf(const std::string& root, const TrustDomain& td) {
    Bundle bundle{.trust_domain = td};
    for (Certificate& certificate : Golden(root)) bundle.x509.push_back({std::move(certificate)});
    return bundle;
  }
  Result<VerifiedX509Svid> Verify(const std::string& name, const std::string& root = "ca") {
    std::vector<Bundle> bundles = {BundleOf(root, td_)};
    return VerifyX509Svid(Golden(name), bundles, now_);
  }
  // Why it was refused; "accepted" when it was not.
  std::string Refusal(const std::string& name, const std::string& root = "ca") {
    Result<VerifiedX509Svid> result = Verify(name, root);
    return result.ok() ? "accepted" : result.status().message();
  }

  const TrustDomain td_ = TrustDomain::Parse("example.org").value();
  const TrustDomain other_ = TrustDomain::Parse("example.com").value();
  const Time now_ = FromUnixSeconds(1'800'000'000);
};

#define EXPECT_REFUSED(name, words) \
  EXPECT_NE(Refusal(name).find(words), std::string::npos) << Refusal(name)

TEST_F(X509SvidTest, AcceptsAProperLeaf) {
  Result<VerifiedX509Svid> svid = Verify("good");
  ASSERT_TRUE(svid.ok()) << svid.status().message();
  EXPECT_EQ(svid->id.text(), "spiffe://example.org/web");
  ASSERT_EQ(svid->path.size(), 2u);
  EXPECT_EQ(svid->path[0], Golden("good")[0]);
  EXPECT_EQ(svid->path[1], Golden("ca")[0]);
}

TEST_F(X509SvidTest, AcceptsOtherSanTypesBesideTheUri) {
  EXPECT_EQ(Refusal("dns_too"), "accepted");
}

TEST_F(X509SvidTest, RejectsMoreThanOneUriSan) {
  EXPECT_REFUSED("two_uris", "exactly one URI SAN, got 2");
  EXPECT_REFUSED("second_uri_foreign", "exactly one URI SAN, got 2");
}

TEST_F(X509SvidTest, RejectsALeafWithoutUriSan) {
  EXPECT_REFUSED("no_uri", "exactly one URI SAN, got 0");
}

TEST_F(X509SvidTest, RejectsALeafIdWithoutPath) { EXPECT_REFUSED("no_path", "with a path"); }

TEST_F(X509SvidTest, RejectsAnotherScheme) { EXPECT_REFUSED("https_uri", "spiffe://"); }

TEST_F(X509SvidTest, RejectsAMalformedId) { EXPECT_REFUSED("bad_id", "trailing slash"); }

TEST_F(X509SvidTest, RejectsALeafWithTheCaFlag) { EXPECT_REFUSED("ca_flag", "CA flag"); }

TEST_F(X509SvidTest, TakesALeafWithoutBasicConstraintsAsNoCa) {
  EXPECT_EQ(Refusal("no_basic_constraints"), "accepted");
}

TEST_F(X509SvidTest, RejectsALeafWithKeyCertSign) { EXPECT_REFUSED("cert_sign", "keyCertSign"); }

TEST_F(X509SvidTest, RejectsALeafWithCrlSign) { EXPECT_REFUSED("crl_sign", "cRLSign"); }

TEST_F(X509SvidTest, RejectsALeafWithoutDigitalSignature) {
  EXPECT_REFUSED("no_digital_signature", "digitalSignature");
}

TEST_F(X509SvidTest, RejectsALeafWithoutKeyUsage) {
  EXPECT_REFUSED("no_key_usage", "digitalSignature");
}

TEST_F(X509SvidTest, KeyEnciphermentAndKeyAgreementAreOptional) {
  EXPECT_EQ(Refusal("signature_usage_only"), "accepted");
}

TEST_F(X509SvidTest, ASigningCertificateIsNoLeaf) {
  std::vector<Certificate> ca = Golden("ca");
  EXPECT_FALSE(CheckX509Leaf(ca[0]).ok());
  std::vector<Bundle> bundles = {BundleOf("ca", td_)};
  EXPECT_FALSE(VerifyX509Svid(ca, bundles, now_).ok());
}

TEST_F(X509SvidTest, AcceptsIntermediates) {
  Result<VerifiedX509Svid> svid = Verify("intermediate");
  ASSERT_TRUE(svid.ok()) << svid.status().message();
  EXPECT_EQ(svid->path.size(), 3u);
}

TEST_F(X509SvidTest, ASigningCertificateNeedsNoIdAndNoCrlSign) {
  EXPECT_EQ(Refusal("intermediate_without_id"), "accepted");
  EXPECT_EQ(Refusal("intermediate_cert_sign_only"), "accepted");
}

TEST_F(X509SvidTest, RejectsASignerWithoutTheCaFlag) {
  EXPECT_REFUSED("intermediate_no_ca", "does not have the CA flag");
}

TEST_F(X509SvidTest, RejectsASignerWithoutKeyCertSign) {
  EXPECT_REFUSED("intermediate_no_cert_sign", "keyCertSign");
  EXPECT_REFUSED("intermediate_no_key_usage", "keyCertSign");
}

TEST_F(X509SvidTest, RejectsASignerWhoseIdHasAPath) {
  EXPECT_REFUSED("intermediate_with_path", "must not have a path");
  EXPECT_NE(Refusal("below_root_with_path", "root_with_path").find("must not have a path"),
            std::string::npos);
}

TEST_F(X509SvidTest, RejectsALeafSignedByAnotherTrustDomainsAuthority) {
  EXPECT_REFUSED("intermediate_other_domain", "by the authority of trust domain example.com");
}

TEST_F(X509SvidTest, HonorsPathLengths) { EXPECT_NE(Refusal("path_too_long"), "accepted"); }

TEST_F(X509SvidTest, TakesARootWithoutKeyUsageOrWithATrailingSlash) {
  EXPECT_EQ(Refusal("below_root_no_key_usage", "root_no_key_usage"), "accepted");
  EXPECT_EQ(Refusal("below_root_trailing_slash", "root_trailing_slash"), "accepted");
}

TEST_F(X509SvidTest, TheLeafsTrustDomainPicksTheBundle) {
  std::vector<Bundle> bundles = {BundleOf("root_no_key_usage", other_), BundleOf("ca", td_)};
  EXPECT_TRUE(VerifyX509Svid(Golden("good"), bundles, now_).ok());
  bundles = {BundleOf("ca", other_), BundleOf("root_no_key_usage", td_)};
  EXPECT_FALSE(VerifyX509Svid(Golden("good"), bundles, now_).ok());
}

TEST_F(X509SvidTest, ARootOfOneTrustDomainVouchesForNoOther) {
  std::vector<Bundle> bundles = {BundleOf("ca", td_)};
  EXPECT_EQ(VerifyX509Svid(Golden("other_domain"), bundles, now_).code(), Code::kNotFound);
}

TEST_F(X509SvidTest, WithoutABundleThePeerIsUntrusted) {
  EXPECT_EQ(VerifyX509Svid(Golden("good"), {}, now_).code(), Code::kNotFound);
  std::vector<Bundle> empty = {Bundle{.trust_domain = td_}};
  EXPECT_FALSE(VerifyX509Svid(Golden("good"), empty, now_).ok());
}

TEST_F(X509SvidTest, AnUnrelatedRootVerifiesNothing) {
  EXPECT_NE(Refusal("good", "root_no_key_usage"), "accepted");
}

TEST_F(X509SvidTest, RejectsTheExpiredAndTheNotYetValid) {
  std::vector<Bundle> bundles = {BundleOf("ca", td_)};
  std::vector<Certificate> chain = Golden("good");
  Duration second = std::chrono::seconds(1);
  EXPECT_TRUE(VerifyX509Svid(chain, bundles, chain[0].not_before() + second).ok());
  EXPECT_FALSE(VerifyX509Svid(chain, bundles, chain[0].not_before() - second).ok());
  EXPECT_FALSE(VerifyX509Svid(chain, bundles, chain[0].not_after() + second).ok());
}

TEST_F(X509SvidTest, ATaintedAuthorityCountsUntilItIsRevoked) {
  std::vector<Bundle> bundles = {BundleOf("ca", td_)};
  bundles[0].x509[0].tainted = true;
  EXPECT_TRUE(VerifyX509Svid(Golden("good"), bundles, now_).ok());
}

TEST_F(X509SvidTest, RejectsEmptyAndEndlessChains) {
  std::vector<Bundle> bundles = {BundleOf("ca", td_)};
  EXPECT_EQ(VerifyX509Svid({}, bundles, now_).code(), Code::kInvalidArgument);
  std::vector<Certificate> endless = Golden("good");
  while (endless.size() <= kX509ChainMax) endless.push_back(Golden("ca")[0]);
  EXPECT_EQ(VerifyX509Svid(endless, bundles, now_).code(), Code::kInvalidArgument);
}

TEST_F(X509SvidTest, ALeafInTheBundleDoesNotVouchForItself) {
  EXPECT_NE(Refusal("good", "good"), "accepted");
}

TEST_F(X509SvidTest, ChecksAuthoritiesOfATrustDomain) {
  EXPECT_TRUE(CheckX509Authority(Golden("ca")[0], td_).ok());
  EXPECT_FALSE(CheckX509Authority(Golden("ca")[0], other_).ok());
  EXPECT_TRUE(CheckX509Authority(Golden("intermediate_without_id")[1], other_).ok());
  EXPECT_FALSE(CheckX509Authority(Golden("root_with_path")[0], td_).ok());
  EXPECT_FALSE(CheckX509Authority(Golden("good")[0], td_).ok());
}

TEST_F(X509SvidTest, ReadsTheIdOfACertificate) {
  EXPECT_EQ(SpiffeIdOf(Golden("good")[0]).value().text(), "spiffe://example.org/web");
  EXPECT_EQ(SpiffeIdOf(Golden("ca")[0]).value().text(), "spiffe://example.org");
  EXPECT_EQ(SpiffeIdOf(Golden("no_uri")[0]).code(), Code::kInvalidArgument);
  EXPECT_EQ(SpiffeIdOf(Golden("two_uris")[0]).code(), Code::kInvalidArgument);
  EXPECT_EQ(SpiffeIdOf(Golden("two_uris")[0], "x509pop").code(), Code::kInvalidArgument);
  EXPECT_EQ(SpiffeIdOf(Golden("second_uri_foreign")[0], "x509pop").code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace writ
