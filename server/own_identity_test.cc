// SPDX-License-Identifier: Apache-2.0
#include "server/own_identity.h"

#include <gtest/gtest.h>

#include <algorithm>
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
            .authorities = authorities_.get(),
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
  EXPECT_EQ(identity->Step(), clock_.Now() + std::chrono::minutes(30));
  EXPECT_EQ(audit_.Events().size(), 2u);
}

TEST_F(OwnIdentityTest, FailedRotationIsLoggedAndSoonTriedAgain) {
  auto identity = Take(OwnIdentity::Make(Needs()));
  clock_.Advance(std::chrono::minutes(30));
  audit_.Fail(Unavailable("the disk is full"));
  Time again = identity->Step();
  EXPECT_LE(again, clock_.Now() + std::chrono::minutes(1));
  EXPECT_EQ(log_.Count("cannot renew the server's own SVID"), 1);
  audit_.Fail(OkStatus());
  EXPECT_GT(identity->Step(), again);
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

TEST_F(OwnIdentityTest, BeforeItsTimeNothingHappens) {
  auto identity = Take(OwnIdentity::Make(Needs()));
  EXPECT_EQ(identity->Step(), identity->RotateAt());
  EXPECT_EQ(audit_.Events().size(), 1u);
}

// The authority that signed the SVID is tainted after another took its place.
TEST_F(OwnIdentityTest, IsRenewedAtOnceWhenItsAuthorityIsTaintedOrRemoved) {
  for (bool tainted : {true, false}) {
    const std::string old_id = authorities_->CurrentX509()->authority_id;
    std::unique_ptr<OwnIdentity> identity;
    while (authorities_->CurrentX509()->authority_id == old_id) {
      identity = Take(OwnIdentity::Make(Needs()));
      clock_.Advance(std::chrono::minutes(25));
      authorities_->Step();
    }
    const Certificate before = identity->Chain().front();
    clock_.Advance(std::chrono::minutes(1));
    EXPECT_EQ(identity->Step(), identity->RotateAt());
    ASSERT_TRUE(bundle_
                    ->Edit([&](Bundle& bundle) {
                      auto old = std::find_if(
                          bundle.x509.begin(), bundle.x509.end(), [&](const X509Authority& a) {
                            return a.certificate.subject_key_id() == before.authority_key_id();
                          });
                      if (tainted) old->tainted = true;
                      if (!tainted) bundle.x509.erase(old);
                      return OkStatus();
                    })
                    .ok());
    identity->Step();
    const Certificate after = identity->Chain().front();
    EXPECT_NE(after.serial(), before.serial());
    EXPECT_EQ(after.authority_key_id(), authorities_->CurrentX509()->certificate.subject_key_id());
    size_t renewals = audit_.Events().size();
    identity->Step();
    EXPECT_EQ(audit_.Events().size(), renewals);  // once
  }
}

// The authority that signs is tainted, and agents have yet to hear of the one that replaces it: the
// SVID that they can verify is kept for as long as that takes, and no longer.
TEST_F(OwnIdentityTest, IsRenewedWhenAgentsKnowTheAuthorityThatReplacesATaintedOne) {
  auto identity = Take(OwnIdentity::Make(Needs()));
  const std::string before = identity->Chain().front().authority_key_id();
  ASSERT_TRUE(bundle_
                  ->Edit([](Bundle& bundle) {
                    for (X509Authority& authority : bundle.x509) authority.tainted = true;
                    return OkStatus();
                  })
                  .ok());
  authorities_->Step();
  const Time known = clock_.Now() + kBundleSettles;
  EXPECT_EQ(identity->Step(), known);
  EXPECT_EQ(identity->Chain().front().authority_key_id(), before);
  clock_.Advance(kBundleSettles);
  const Time next = identity->Step();
  EXPECT_EQ(next, identity->RotateAt());
  EXPECT_EQ(identity->Chain().front().authority_key_id(),
            authorities_->CurrentX509()->certificate.subject_key_id());
}

TEST_F(OwnIdentityTest, WaitsForAnotherAuthorityWhenTheOneThatSignsIsTainted) {
  auto identity = Take(OwnIdentity::Make(Needs()));
  ASSERT_TRUE(bundle_
                  ->Edit([](Bundle& bundle) {
                    for (X509Authority& authority : bundle.x509) authority.tainted = true;
                    return OkStatus();
                  })
                  .ok());
  for (int i = 0; i < 3; ++i) EXPECT_LE(identity->Step(), clock_.Now() + std::chrono::minutes(1));
  EXPECT_EQ(audit_.Events().size(), 1u);
  EXPECT_EQ(log_.Count("the X.509 authority that signs is tainted"), 1);
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
