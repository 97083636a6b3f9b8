// SPDX-License-Identifier: Apache-2.0
//
// Authorities that the bundle calls tainted: they sign no more, and a successor takes their place.
#include <gtest/gtest.h>

#include <array>

#include "server/ca/authorities_fixture.h"

namespace writ {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using Fault = FaultPoint::Kind;

constexpr std::array kKinds = {AuthorityKind::kX509, AuthorityKind::kJwt};

class AuthoritiesTaintTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(world_.Open().ok()); }

  Status Taint(AuthorityKind kind, const std::string& id) {
    TRY(world_.holder->Edit([&](Bundle& bundle) {
      for (X509Authority& authority : bundle.x509) {
        authority.tainted |=
            kind == AuthorityKind::kX509 && HexEncode(authority.certificate.subject_key_id()) == id;
      }
      for (JwtAuthority& authority : bundle.jwt) {
        authority.tainted |= kind == AuthorityKind::kJwt && authority.key_id == id;
      }
      return OkStatus();
    }));
    world_.authorities->OnBundleChange();
    return OkStatus();
  }
  bool SaysTainted(AuthorityKind kind) {
    return kind == AuthorityKind::kX509 ? world_.authorities->CurrentX509()->tainted
                                        : world_.authorities->CurrentJwt()->tainted;
  }
  bool TaintedInBundle(AuthorityKind kind, const std::string& id) {
    const Bundle bundle = world_.StoredBundle();
    if (kind == AuthorityKind::kJwt)
      return bundle.FindJwt(id) != nullptr && bundle.FindJwt(id)->tainted;
    return std::any_of(bundle.x509.begin(), bundle.x509.end(), [&](const X509Authority& x509) {
      return x509.tainted && HexEncode(x509.certificate.subject_key_id()) == id;
    });
  }

  AuthoritiesWorld world_;
};

TEST_F(AuthoritiesTaintTest, ATaintedOneSignsNoMoreAndTheNextStepReplacesIt) {
  for (AuthorityKind kind : kKinds) {
    const std::string first = world_.CurrentId(kind);
    const AuthorityKind other =
        kind == AuthorityKind::kX509 ? AuthorityKind::kJwt : AuthorityKind::kX509;
    const std::string others = world_.CurrentId(other);
    ASSERT_TRUE(Taint(kind, first).ok());
    EXPECT_EQ(world_.CurrentId(kind), first);
    EXPECT_TRUE(SaysTainted(kind));
    EXPECT_FALSE(SaysTainted(other));

    world_.authorities->Step();
    const std::string second = world_.CurrentId(kind);
    EXPECT_NE(second, first);
    EXPECT_FALSE(SaysTainted(kind));
    EXPECT_TRUE(world_.InStoredBundle(kind, second));
    // What it signed holds on: the root stays, as tainted as it is.
    EXPECT_TRUE(TaintedInBundle(kind, first));
    EXPECT_EQ(world_.CurrentId(other), others);

    world_.Live(hours(1));
    EXPECT_EQ(world_.CurrentId(kind), second);
  }
}

TEST_F(AuthoritiesTaintTest, TheSuccessorThatWasPreparedIsTaken) {
  world_.Live(hours(13));
  for (AuthorityKind kind : kKinds) {
    const std::string prepared = world_.Rows(kind, AuthorityStatus::kPrepared).front().authority_id;
    ASSERT_TRUE(Taint(kind, world_.CurrentId(kind)).ok());
    world_.authorities->Step();
    EXPECT_EQ(world_.CurrentId(kind), prepared);
    EXPECT_TRUE(world_.Rows(kind, AuthorityStatus::kPrepared).empty());
  }
}

TEST_F(AuthoritiesTaintTest, ATaintedSuccessorIsGivenUp) {
  world_.Live(hours(13));
  for (AuthorityKind kind : kKinds) {
    const std::string active = world_.CurrentId(kind);
    const std::string prepared = world_.Rows(kind, AuthorityStatus::kPrepared).front().authority_id;
    ASSERT_TRUE(Taint(kind, prepared).ok());
    world_.authorities->Step();
    EXPECT_EQ(world_.CurrentId(kind), active);
    EXPECT_NE(world_.Rows(kind, AuthorityStatus::kPrepared).front().authority_id, prepared);
    world_.Live(hours(8));
    EXPECT_NE(world_.CurrentId(kind), active);
    EXPECT_NE(world_.CurrentId(kind), prepared);
    world_.Live(hours(5));
  }
}

TEST_F(AuthoritiesTaintTest, BothTaintedAreReplacedByANewOne) {
  world_.Live(hours(13));
  for (AuthorityKind kind : kKinds) {
    const std::string active = world_.CurrentId(kind);
    const std::string prepared = world_.Rows(kind, AuthorityStatus::kPrepared).front().authority_id;
    ASSERT_TRUE(Taint(kind, prepared).ok());
    ASSERT_TRUE(Taint(kind, active).ok());
    world_.authorities->Step();
    EXPECT_NE(world_.CurrentId(kind), active);
    EXPECT_NE(world_.CurrentId(kind), prepared);
    EXPECT_FALSE(SaysTainted(kind));
  }
}

TEST_F(AuthoritiesTaintTest, AStartReplacesWhatWasTaintedBefore) {
  const std::string x509 = world_.CurrentId(AuthorityKind::kX509);
  const std::string jwt = world_.CurrentId(AuthorityKind::kJwt);
  for (AuthorityKind kind : kKinds) ASSERT_TRUE(Taint(kind, world_.CurrentId(kind)).ok());
  ASSERT_TRUE(world_.Open().ok());
  EXPECT_NE(world_.CurrentId(AuthorityKind::kX509), x509);
  EXPECT_NE(world_.CurrentId(AuthorityKind::kJwt), jwt);
}

// A crash or a failure at each durable step on the way: until the successor is there, what is shown
// says that it shall not sign.
TEST_F(AuthoritiesTaintTest, AtNoDurableStepDoesATaintedOneSign) {
  for (Fault fault :
       {Fault::kCrashBefore, Fault::kCrashAfter, Fault::kFailBefore, Fault::kFailAfter}) {
    for (int step = 1; step <= 8; ++step) {
      SCOPED_TRACE("fault " + std::to_string(static_cast<int>(fault)) + ", step " +
                   std::to_string(step));
      std::array<std::string, 2> tainted;
      for (size_t i = 0; i < kKinds.size(); ++i) {
        tainted.at(i) = world_.CurrentId(kKinds.at(i));
        ASSERT_TRUE(Taint(kKinds.at(i), tainted.at(i)).ok());
      }
      world_.fault.Arm(fault, step);
      for (int i = 0; i < 3; ++i) {
        world_.authorities->Step();
        for (size_t k = 0; k < kKinds.size(); ++k) {
          EXPECT_EQ(SaysTainted(kKinds.at(k)), world_.CurrentId(kKinds.at(k)) == tainted.at(k));
        }
      }
      world_.fault.Heal();
      if (fault == Fault::kCrashBefore || fault == Fault::kCrashAfter) {
        ASSERT_TRUE(world_.Open().ok());
      }
      world_.authorities->Step();
      for (AuthorityKind kind : kKinds) EXPECT_FALSE(SaysTainted(kind));
      EXPECT_EQ(world_.keys->List().value().size(), world_.store.journal().Load().value().size());
      world_.Live(hours(49));  // what is over goes
    }
  }
}

}  // namespace
}  // namespace writ
