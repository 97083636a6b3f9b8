// SPDX-License-Identifier: Apache-2.0
//
// Certificates of one name and no authority key ID, as Go makes them: who signed is all there is to
// tell them apart. go-spiffe's verdicts on more of them stand in test/golden/go_spiffe.
#include <gtest/gtest.h>

#include <list>

#include "core/crypto/x509.h"
#include "core/crypto/x509_paths.h"
#include "test/fake/key_signer.h"

namespace writ {
namespace {

const Time kNow = FromUnixSeconds(1'790'000'000);

using Path = std::vector<Certificate>;

// The parameter is the one name.
class OneNameTest : public testing::TestWithParam<Subject> {
 protected:
  struct Made {
    Certificate certificate;
    KeySigner* key;
  };

  CertificateTemplate Template(bool is_ca) {
    CertificateTemplate cert{.subject = GetParam(), .is_ca = is_ca};
    cert.serial = *Serial::FromDecimal(std::to_string(++serial_));
    cert.not_before = kNow - std::chrono::hours(1);
    cert.not_after = kNow + life_;
    return cert;
  }
  KeySigner* NewKey() { return &keys_.emplace_back(KeyType::kEcP256); }

  Made Root() {
    KeySigner* key = NewKey();
    return {*Certificate::FromDer(*SignSelfSigned(Template(true), *key)), key};
  }
  Made Below(const Made& issuer, bool is_ca, KeySigner* key = nullptr) {
    if (key == nullptr) key = NewKey();
    Issuer509 by{issuer.certificate.subject_der(), "", issuer.key};
    return {*Certificate::FromDer(*SignCertificate(Template(is_ca), key->Public(), by)), key};
  }

  Duration life_ = std::chrono::hours(1);
  int serial_ = 0;
  std::list<KeySigner> keys_;
  Made root_ = Root();
  Made middle_ = Below(root_, true);
  Made lower_ = Below(middle_, true);
  Certificate direct_ = Below(root_, false).certificate;
  Certificate leaf_ = Below(lower_, false).certificate;
};

TEST_P(OneNameTest, ThePathIsThatOfTheSignatures) {
  ASSERT_TRUE(leaf_.authority_key_id().empty());
  ASSERT_EQ(leaf_.subject_der(), leaf_.issuer_der());
  Path roots = {Root().certificate, root_.certificate, Root().certificate};
  EXPECT_EQ(*VerifyChain(Path{direct_}, roots, kNow), (Path{direct_, root_.certificate}));
  Path whole = {leaf_, lower_.certificate, middle_.certificate, root_.certificate};
  EXPECT_EQ(*VerifyChain(std::span(whole).first(3), roots, kNow), whole);
  EXPECT_EQ(*VerifyChain(whole, roots, kNow), whole);
  Path mixed = {leaf_, Root().certificate, root_.certificate, middle_.certificate,
                Root().certificate, lower_.certificate, middle_.certificate};
  EXPECT_EQ(*VerifyChain(mixed, roots, kNow), whole);
  // A trusted authority ends the path, self-signed or not.
  EXPECT_EQ(*VerifyChain(Path{leaf_}, Path{lower_.certificate}, kNow),
            (Path{leaf_, lower_.certificate}));
}

TEST_P(OneNameTest, WhatNoRootSignedIsRefused) {
  Path roots = {root_.certificate, Root().certificate};
  auto refusal = [&](const Path& chain) { return VerifyChain(chain, roots, kNow).status(); };
  EXPECT_EQ(refusal({leaf_}).code(), Code::kPermissionDenied);
  EXPECT_EQ(refusal({leaf_, lower_.certificate}).code(), Code::kPermissionDenied);
  EXPECT_EQ(refusal({leaf_, middle_.certificate}).code(), Code::kPermissionDenied);
  Made other = Root();
  Certificate foreign = Below(other, false).certificate;
  EXPECT_EQ(refusal({foreign}).code(), Code::kPermissionDenied);
  EXPECT_EQ(refusal({foreign, root_.certificate}).code(), Code::kPermissionDenied);
  Status status = refusal({foreign, other.certificate});
  EXPECT_EQ(status.code(), Code::kPermissionDenied);
  EXPECT_NE(status.message().find("none of the trusted roots leads to it"), std::string::npos)
      << status.message();
  EXPECT_EQ(VerifyChain(Path{leaf_, lower_.certificate, middle_.certificate}, {}, kNow).code(),
            Code::kPermissionDenied);
}

TEST_P(OneNameTest, ALeafThatSignedItselfIsRefused) {
  KeySigner* key = NewKey();
  Certificate own = *Certificate::FromDer(*SignSelfSigned(Template(false), *key));
  Certificate again = *Certificate::FromDer(*SignSelfSigned(Template(true), *key));
  for (const Path& chain : {Path{own}, Path{own, own}, Path{own, again},
                            Path{own, root_.certificate},
                            Path{own, again, middle_.certificate, root_.certificate}}) {
    EXPECT_EQ(VerifyChain(chain, Path{root_.certificate}, kNow).code(), Code::kPermissionDenied);
  }
  // Being trusted itself is another matter.
  EXPECT_EQ(*VerifyChain(Path{own}, Path{root_.certificate, own}, kNow), Path{own});
}

TEST_P(OneNameTest, ALeafMayHaveItsIssuersKey) {
  Certificate leaf = Below(middle_, false, middle_.key).certificate;
  EXPECT_EQ(*VerifyChain(Path{leaf, middle_.certificate}, Path{root_.certificate}, kNow),
            (Path{leaf, middle_.certificate, root_.certificate}));
  EXPECT_FALSE(VerifyChain(Path{leaf}, Path{root_.certificate}, kNow).ok());
}

TEST_P(OneNameTest, EveryCertificateIsHeldToTheRules) {
  Path roots = {root_.certificate};
  life_ = -std::chrono::minutes(1);
  Made expired = Below(root_, true);
  life_ = std::chrono::hours(1);
  Status status =
      VerifyChain(Path{Below(expired, false).certificate, expired.certificate}, roots, kNow)
          .status();
  EXPECT_EQ(status.code(), Code::kPermissionDenied);
  EXPECT_NE(status.message().find("number 1 from the leaf: certificate has expired"),
            std::string::npos)
      << status.message();
  Made no_ca = Below(root_, false);
  EXPECT_EQ(VerifyChain(Path{Below(no_ca, false).certificate, no_ca.certificate}, roots, kNow)
                .code(),
            Code::kPermissionDenied);
  EXPECT_FALSE(VerifyChain(Path{direct_}, roots, kNow + std::chrono::hours(2)).ok());
}

TEST_P(OneNameTest, EveryValidPathIsFound) {
  Made other_root = Root();
  Made cross = Below(other_root, true, middle_.key);
  life_ = -std::chrono::minutes(1);
  Made expired = Below(other_root, true, middle_.key);
  Path chain = {leaf_, expired.certificate, middle_.certificate, cross.certificate,
                lower_.certificate};
  Path roots = {root_.certificate, other_root.certificate};
  EXPECT_EQ(*VerifyEveryPath(chain, roots, kNow),
            (std::vector<Path>{
                {leaf_, lower_.certificate, middle_.certificate, root_.certificate},
                {leaf_, lower_.certificate, cross.certificate, other_root.certificate}}));
}

// Whoever connects chooses a chain, its names and its keys, before any proof.
TEST_P(OneNameTest, OnlyKeysThatARootLeadsToVerifyAnything) {
  Made stranger = Root();
  Path chain = {Below(stranger, false).certificate};
  while (chain.size() < kChainLengthMax) {
    chain.push_back(Below(stranger, true, NewKey()).certificate);
    chain.push_back(Below(stranger, true, stranger.key).certificate);
  }
  chain.resize(kChainLengthMax, chain.back());
  PathSearch search = *PathSearch::Of(chain, Path{root_.certificate}, kNow);
  EXPECT_TRUE(search.Run().empty());
  EXPECT_LE(search.signature_checks(), static_cast<size_t>(kChainLengthMax));
}

TEST_P(OneNameTest, WhereNamesLeaveOneWayNoSignatureIsLookedAtTwice) {
  PathSearch search = *PathSearch::Of(Path{direct_}, Path{root_.certificate}, kNow);
  EXPECT_EQ(search.Run(), (std::vector<Path>{{direct_, root_.certificate}}));
  EXPECT_EQ(search.signature_checks(), 0u);
}

TEST_P(OneNameTest, RootsThatHaveExpiredComeLast) {
  life_ = -std::chrono::minutes(1);
  Path roots;
  for (size_t i = 0; i < kPathsMax + 8; ++i) {
    roots.push_back(*Certificate::FromDer(*SignSelfSigned(Template(true), *root_.key)));
  }
  roots.push_back(root_.certificate);
  EXPECT_EQ(*VerifyChain(Path{direct_}, roots, kNow), (Path{direct_, root_.certificate}));
}

TEST_P(OneNameTest, ASearchEnds) {
  // Each vouches for all others, and no root for any.
  Made loop = Root();
  Path chain = {Below(loop, false).certificate};
  while (chain.size() < kChainLengthMax) {
    chain.push_back(Below(loop, true, loop.key).certificate);
  }
  EXPECT_EQ(VerifyChain(chain, Path{root_.certificate}, kNow).code(), Code::kPermissionDenied);
  EXPECT_EQ(VerifyEveryPath(chain, Path{loop.certificate}, kNow)->size(), 1u);

  // Three authorities, each three times certified: 27 ways that end before the root, which has
  // the name of many others.
  Made a = Root();
  Made b = Root();
  Made c = Root();
  chain = {Below(a, false).certificate};
  for (int i = 0; i < 3; ++i) {
    chain.push_back(Below(b, true, a.key).certificate);
    chain.push_back(Below(c, true, b.key).certificate);
    chain.push_back(Below(a, true, c.key).certificate);
  }
  Path roots;
  for (int i = 0; i < 200; ++i) roots.push_back(Root().certificate);
  Status status = VerifyChain(chain, roots, kNow).status();
  EXPECT_EQ(status.code(), Code::kPermissionDenied);
  EXPECT_NE(status.message().find("too many certificates"), std::string::npos) << status.message();
}

INSTANTIATE_TEST_SUITE_P(Names, OneNameTest,
                         testing::Values(Subject{.country = "US", .organization = "Acme"},
                                         Subject{}),
                         [](const testing::TestParamInfo<Subject>& info) {
                           return info.param.country.empty() ? "Empty" : "Full";
                         });

}  // namespace
}  // namespace writ
