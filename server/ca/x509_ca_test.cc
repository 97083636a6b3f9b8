// SPDX-License-Identifier: Apache-2.0
#include "server/ca/x509_ca.h"

#include <gtest/gtest.h>

#include "core/keys/key_manager.h"
#include "core/spiffe/svid.h"
#include "test/fake/fake_clock.h"

namespace writ {
namespace {

class X509CaTest : public testing::Test {
 protected:
  std::shared_ptr<Signer> Key(KeyType type = KeyType::kEcP256) {
    return MakeSoftwareSigner(PrivateKey::Generate(type).value());
  }
  X509CaTemplate Template() const {
    return {.trust_domain = td_,
            .subject = {.country = "US", .organization = "Writ"},
            .issued_at = now_,
            .ttl = std::chrono::hours(24)};
  }

  const TrustDomain td_ = TrustDomain::Parse("example.org").value();
  const Time now_ = FromUnixSeconds(1'790'000'000);
  SeededRandom random_{1};
};

TEST_F(X509CaTest, MakesASelfSignedAuthorityOfTheTrustDomain) {
  std::shared_ptr<Signer> key = Key();
  Certificate ca = MakeX509Ca(Template(), *key, random_).value();
  EXPECT_EQ(ca.uri_sans(), std::vector<std::string>{"spiffe://example.org"});
  EXPECT_TRUE(ca.is_ca());
  EXPECT_TRUE(ca.can_sign_certificates());
  EXPECT_TRUE(ca.can_sign_crls());
  EXPECT_FALSE(ca.can_sign_digitally());
  EXPECT_TRUE(ca.self_signed());
  EXPECT_EQ(ca.subject_key_id(), key->Public().key_id_sha1());
  EXPECT_EQ(ca.not_before(), now_ - std::chrono::seconds(10));
  EXPECT_EQ(ca.not_after(), now_ + std::chrono::hours(24));
  EXPECT_TRUE(CheckX509Authority(ca, td_).ok());
}

TEST_F(X509CaTest, EveryAuthorityHasANameOfItsOwn) {
  std::shared_ptr<Signer> key = Key();
  Certificate a = MakeX509Ca(Template(), *key, random_).value();
  Certificate b = MakeX509Ca(Template(), *key, random_).value();
  EXPECT_NE(a.subject_der(), b.subject_der());
  EXPECT_NE(a.SubjectText().find(a.serial().ToDecimal()), std::string::npos);
}

TEST_F(X509CaTest, EveryKeyTypeMayBeAnAuthority) {
  for (KeyType type : {KeyType::kEcP256, KeyType::kEcP384, KeyType::kRsa2048}) {
    EXPECT_TRUE(MakeX509Ca(Template(), *Key(type), random_).ok()) << KeyTypeName(type);
  }
}

TEST_F(X509CaTest, ASignerThatSignsWronglyIsFoundOut) {
  class Liar final : public Signer {
   public:
    Liar(std::shared_ptr<Signer> shown, std::shared_ptr<Signer> used)
        : shown_(std::move(shown)), used_(std::move(used)) {}
    const PublicKey& Public() const override { return shown_->Public(); }
    Result<std::string> Sign(SignatureScheme scheme, std::string_view message) override {
      return used_->Sign(scheme, message);
    }

   private:
    const std::shared_ptr<Signer> shown_, used_;
  } liar(Key(), Key());
  Result<Certificate> made = MakeX509Ca(Template(), liar, random_);
  EXPECT_FALSE(made.ok());
  EXPECT_NE(made.status().message().find("verify the new CA certificate"), std::string::npos);
}

TEST_F(X509CaTest, RefusesAnotherTrustDomainOrKey) {
  std::shared_ptr<Signer> key = Key();
  Certificate ca = MakeX509Ca(Template(), *key, random_).value();
  EXPECT_TRUE(CheckX509Ca(ca, td_, key->Public()).ok());
  EXPECT_FALSE(CheckX509Ca(ca, TrustDomain::Parse("example.com").value(), key->Public()).ok());
  EXPECT_FALSE(CheckX509Ca(ca, td_, Key()->Public()).ok());
}

}  // namespace
}  // namespace writ
