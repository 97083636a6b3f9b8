// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "agent/cache/cache.h"
#include "test/fake/fake_clock.h"
#include "test/fake/key_signer.h"

namespace writ {
namespace {

struct Authority {
  std::shared_ptr<Signer> signer;
  Certificate certificate;
};

class TaintTest : public testing::Test {
 protected:
  CertificateTemplate Template(const std::string& name) {
    return {.serial = Serial::Generate(random_),
            .subject = {.common_name = name},
            .not_before = clock_.Now(),
            .not_after = clock_.Now() + std::chrono::hours(1),
            .uri_sans = {"spiffe://example.org"},
            .is_ca = true};
  }
  // Without an authority above it: a root.
  Authority Make(const std::string& name, const Authority* above = nullptr) {
    auto signer = std::make_shared<KeySigner>(KeyType::kEcP256);
    const std::string der =
        above == nullptr
            ? SignSelfSigned(Template(name), *signer).value()
            : SignCertificate(Template(name), signer->Public(),
                              {above->certificate.subject_der(),
                               above->certificate.subject_key_id(), above->signer.get()})
                  .value();
    return {signer, Certificate::FromDer(der).value()};
  }

  FakeClock clock_;
  SeededRandom random_{3};
};

TEST_F(TaintTest, AChainRestsOnWhateverSignedOneOfItsCertificates) {
  const Authority root = Make("root");
  const Authority intermediate = Make("intermediate", &root);
  const Authority leaf = Make("leaf", &intermediate);
  HeldX509 svid;
  svid.chain_der = leaf.certificate.der() + intermediate.certificate.der();
  EXPECT_TRUE(RestsOn(svid, {root.certificate.subject_key_id()}));
  EXPECT_TRUE(RestsOn(svid, {intermediate.certificate.subject_key_id(), "another"}));
  EXPECT_FALSE(RestsOn(svid, {leaf.certificate.subject_key_id(), "another"}));
}

TEST_F(TaintTest, ACertificateThatNamesNoKeyMayBeAnyones) {
  const Authority root = Make("root");
  const auto signer = std::make_shared<KeySigner>(KeyType::kEcP256);
  const std::string der = SignCertificate(Template("root"), signer->Public(),
                                          {root.certificate.subject_der(), "", root.signer.get()})
                              .value();
  ASSERT_EQ(Certificate::FromDer(der)->authority_key_id(), "");
  HeldX509 svid;
  svid.chain_der = der;
  EXPECT_TRUE(RestsOn(svid, {"any"}));
  EXPECT_FALSE(RestsOn(svid, {}));
}

TEST_F(TaintTest, WhatCannotBeReadIsNotReliedOn) {
  HeldX509 svid;
  svid.chain_der = "junk";
  EXPECT_TRUE(RestsOn(svid, {"any"}));
}

}  // namespace
}  // namespace writ
