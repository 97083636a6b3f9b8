// SPDX-License-Identifier: Apache-2.0
#include "server/own_identity.h"

#include <gtest/gtest.h>

#include <span>

#include "core/keys/key_manager.h"
#include "server/ca/authorities.h"
#include "test/fake/fake_audit_log.h"
#include "test/fake/fake_clock.h"
#include "test/fake/fake_log.h"
#include "test/fake/fake_store.h"

namespace writ {
namespace {

template <typename T>
T Take(Result<T> result) {
  EXPECT_TRUE(result.ok()) << result.status().ToString();
  return std::move(result).value();
}

class OwnIdentityTest : public ::testing::Test {
 protected:
  void SetUp() override {
    bundle_ = Take(BundleHolder::Load(store_.bundles(), td_));
    keys_ = MakeMemoryKeys();
    authorities_ = Take(Authorities::Open({.trust_domain = td_,
                                           .store = &store_,
                                           .bundle = bundle_.get(),
                                           .keys = keys_.get(),
                                           .clock = &clock_,
                                           .random = &random_,
                                           .log = &log_}));
    issuer_ = Issuer::Make({.trust_domain = td_,
                            .authorities = authorities_.get(),
                            .audit = &audit_,
                            .clock = &clock_,
                            .random = &random_});
  }
  OwnIdentity::Needs Needs() {
    return {.trust_domain = td_,
            .issuer = issuer_.get(),
            .bundle = bundle_.get(),
            .clock = &clock_,
            .log = &log_};
  }

  const TrustDomain td_ = *TrustDomain::Parse("example.org");
  FakeClock clock_;
  SeededRandom random_{9};
  FakeLog log_;
  FakeStore store_;
  FakeAuditLog audit_;
  std::unique_ptr<BundleHolder> bundle_;
  std::unique_ptr<KeyManager> keys_;
  std::unique_ptr<Authorities> authorities_;
  std::unique_ptr<Issuer> issuer_;
};

TEST_F(OwnIdentityTest, RotatesAtHalfOfItsLife) {
  auto identity = Take(OwnIdentity::Make(Needs()));
  EXPECT_EQ(identity->RotateAt(), clock_.Now() + std::chrono::minutes(30));
  clock_.Advance(std::chrono::minutes(30));
  EXPECT_EQ(identity->Rotate(), clock_.Now() + std::chrono::minutes(30));
  EXPECT_EQ(audit_.Events().size(), 2u);
}

TEST_F(OwnIdentityTest, FailedRotationIsLoggedAndSoonTriedAgain) {
  auto identity = Take(OwnIdentity::Make(Needs()));
  audit_.Fail(Unavailable("the disk is full"));
  Time again = identity->Rotate();
  EXPECT_LE(again, clock_.Now() + std::chrono::minutes(1));
  EXPECT_EQ(log_.Count("cannot renew the server's own SVID"), 1);
  audit_.Fail(OkStatus());
  EXPECT_GT(identity->Rotate(), again);
}

TEST_F(OwnIdentityTest, ClientsAreHeldToTheCurrentBundle) {
  auto identity = Take(OwnIdentity::Make(Needs()));
  X509Request request{.id = *SpiffeId::FromPath(td_, "/web"),
                      .key = PrivateKey::Generate(KeyType::kEcP256)->Public()};
  auto issued = issuer_->IssueX509(std::span(&request, 1), X509Purpose::kWorkload, "test");
  std::vector<Certificate> chain = {*Certificate::FromDer(issued[0]->chain[0])};
  EXPECT_TRUE(identity->VerifyClient(chain).ok());
  ASSERT_TRUE(bundle_
                  ->Edit([](Bundle& bundle) {
                    bundle.x509.clear();
                    return OkStatus();
                  })
                  .ok());
  EXPECT_FALSE(identity->VerifyClient(chain).ok());
}

TEST_F(OwnIdentityTest, ExpiredClientIsRefused) {
  auto identity = Take(OwnIdentity::Make(Needs()));
  X509Request request{.id = *SpiffeId::FromPath(td_, "/web"),
                      .key = PrivateKey::Generate(KeyType::kEcP256)->Public()};
  auto issued = issuer_->IssueX509(std::span(&request, 1), X509Purpose::kWorkload, "test");
  std::vector<Certificate> chain = {*Certificate::FromDer(issued[0]->chain[0])};
  clock_.Advance(std::chrono::hours(2));
  EXPECT_FALSE(identity->VerifyClient(chain).ok());
}

}  // namespace
}  // namespace writ
