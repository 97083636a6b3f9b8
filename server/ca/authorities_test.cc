// SPDX-License-Identifier: Apache-2.0
#include "server/ca/authorities.h"

#include <gtest/gtest.h>

#include <set>

#include "core/spiffe/svid.h"
#include "server/ca/authorities_fixture.h"
#include "test/support/paths.h"

namespace writ {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr AuthorityKind kX509 = AuthorityKind::kX509;
constexpr AuthorityKind kJwt = AuthorityKind::kJwt;
constexpr AuthorityStatus kPrepared = AuthorityStatus::kPrepared;
constexpr AuthorityStatus kActive = AuthorityStatus::kActive;
constexpr AuthorityStatus kOld = AuthorityStatus::kOld;

class AuthoritiesTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(world_.Open().ok()); }
  std::string X509Id() { return world_.CurrentId(kX509); }
  std::string JwtId() { return world_.CurrentId(kJwt); }
  JournalRow Only(AuthorityKind kind, AuthorityStatus status) {
    std::vector<JournalRow> rows = world_.Rows(kind, status);
    EXPECT_EQ(rows.size(), 1u);
    return rows.empty() ? JournalRow{} : rows.front();
  }

  AuthoritiesWorld world_;
};

TEST_F(AuthoritiesTest, TheFirstStartMakesBothAndPutsThemIntoTheBundle) {
  std::shared_ptr<const X509Ca> ca = world_.authorities->CurrentX509();
  EXPECT_EQ(ca->authority_id, HexEncode(ca->certificate.subject_key_id()));
  EXPECT_EQ(ca->certificate.public_key(), ca->signer->Public());
  EXPECT_TRUE(CheckX509Authority(ca->certificate, world_.td).ok());
  std::shared_ptr<const JwtSigner> jwt = world_.authorities->CurrentJwt();
  EXPECT_EQ(jwt->not_after, world_.clock.Now() + AuthoritiesWorld::kTtl);

  Bundle bundle = world_.StoredBundle();
  ASSERT_EQ(bundle.x509.size(), 1u);
  EXPECT_EQ(bundle.x509[0].certificate, ca->certificate);
  ASSERT_EQ(bundle.jwt.size(), 1u);
  EXPECT_EQ(bundle.jwt[0].key_id, jwt->authority_id);
  EXPECT_EQ(bundle.jwt[0].key, jwt->signer->Public());
  EXPECT_EQ(bundle.jwt[0].expires_at, ToUnixSeconds(jwt->not_after));

  EXPECT_EQ(Only(kX509, kActive).authority_id, ca->authority_id);
  EXPECT_EQ(Only(kX509, kActive).activated_at, ToUnixSeconds(world_.clock.Now()));
  EXPECT_EQ(Only(kJwt, kActive).authority_id, jwt->authority_id);
}

TEST_F(AuthoritiesTest, ARestartChangesNothing) {
  std::string x509 = X509Id(), jwt = JwtId();
  Bundle bundle = world_.StoredBundle();
  ASSERT_TRUE(world_.Open().ok());
  EXPECT_EQ(X509Id(), x509);
  EXPECT_EQ(JwtId(), jwt);
  EXPECT_EQ(world_.StoredBundle(), bundle);
}

TEST_F(AuthoritiesTest, PreparesAtHalfAndActivatesAtFiveSixths) {
  std::string first = X509Id(), first_jwt = JwtId();
  world_.Live(hours(12) - seconds(1));
  EXPECT_TRUE(world_.Rows(kX509, kPrepared).empty());
  world_.Live(seconds(1));
  std::string second = Only(kX509, kPrepared).authority_id;
  std::string second_jwt = Only(kJwt, kPrepared).authority_id;
  EXPECT_TRUE(world_.InStoredBundle(kX509, second));
  EXPECT_TRUE(world_.InStoredBundle(kJwt, second_jwt));
  EXPECT_EQ(X509Id(), first);

  world_.Live(hours(8) - seconds(1));
  EXPECT_EQ(X509Id(), first);
  EXPECT_EQ(JwtId(), first_jwt);
  world_.Live(seconds(1));
  EXPECT_EQ(X509Id(), second);
  EXPECT_EQ(JwtId(), second_jwt);
  EXPECT_EQ(Only(kX509, kOld).authority_id, first);
  EXPECT_TRUE(world_.InStoredBundle(kX509, first));
}

TEST_F(AuthoritiesTest, SaysWhenTheNextStepIsDue) {
  Time start = world_.clock.Now();
  EXPECT_EQ(world_.authorities->Step(), start + minutes(1));
  world_.Live(hours(12) - seconds(20));
  EXPECT_EQ(world_.authorities->Step(), start + hours(12));
}

TEST_F(AuthoritiesTest, TheExpiredStayInTheBundleFor24HoursAndThenGoWithTheirKeys) {
  std::string first = X509Id(), first_jwt = JwtId();
  std::string key_name = Only(kX509, kActive).key_name;
  world_.Live(hours(48) - seconds(1));
  EXPECT_TRUE(world_.InStoredBundle(kX509, first));
  EXPECT_TRUE(world_.InStoredBundle(kJwt, first_jwt));
  EXPECT_TRUE(world_.keys->Get(key_name).ok());
  world_.Live(seconds(10));
  EXPECT_FALSE(world_.InStoredBundle(kX509, first));
  EXPECT_FALSE(world_.InStoredBundle(kJwt, first_jwt));
  EXPECT_EQ(world_.keys->Get(key_name).code(), Code::kNotFound);
  for (const JournalRow& row : world_.store.journal().Load().value()) {
    EXPECT_NE(row.authority_id, first);
    EXPECT_NE(row.authority_id, first_jwt);
  }
}

TEST_F(AuthoritiesTest, RootsThatOthersAddedExpireByTheSameRule) {
  std::shared_ptr<const X509Ca> foreign = world_.authorities->CurrentX509();
  world_.Close();
  AuthoritiesWorld other;
  ASSERT_TRUE(other.Open().ok());
  other.clock.JumpWallTime(-hours(1));
  ASSERT_TRUE(other.holder
                  ->Edit([&](Bundle& bundle) {
                    bundle.x509.push_back({foreign->certificate});
                    return OkStatus();
                  })
                  .ok());
  other.Live(hours(24));
  EXPECT_TRUE(other.InStoredBundle(kX509, foreign->authority_id));
  other.Live(hours(26));
  EXPECT_FALSE(other.InStoredBundle(kX509, foreign->authority_id));
}

TEST_F(AuthoritiesTest, OneLifeAfterAnotherNeverLeavesAGap) {
  std::set<std::string> seen;
  for (int hour = 0; hour < 24 * 10; ++hour) {
    world_.Live(hours(1));
    std::shared_ptr<const X509Ca> ca = world_.authorities->CurrentX509();
    seen.insert(ca->authority_id);
    EXPECT_GE(ca->certificate.not_after() - world_.clock.Now(), hours(4));
    EXPECT_GE(world_.authorities->CurrentJwt()->not_after - world_.clock.Now(), hours(4));
    EXPECT_TRUE(world_.InStoredBundle(kX509, ca->authority_id));
    EXPECT_LE(world_.StoredBundle().x509.size(), 5u);
  }
  EXPECT_EQ(seen.size(), 20u);  // a new one each 12 hours
  EXPECT_LE(world_.keys->List().value().size(), 10u);
}

TEST_F(AuthoritiesTest, AnActiveAuthorityWithoutItsKeyIsReplacedAndStaysInTheBundle) {
  std::string first = X509Id(), jwt = JwtId();
  world_.Close();
  ASSERT_TRUE(world_.keys->Remove(Only(kX509, kActive).key_name).ok());
  ASSERT_TRUE(world_.Open().ok());
  EXPECT_NE(X509Id(), first);
  EXPECT_EQ(JwtId(), jwt);
  EXPECT_EQ(Only(kX509, kOld).authority_id, first);
  EXPECT_TRUE(world_.InStoredBundle(kX509, first));
  EXPECT_TRUE(world_.InStoredBundle(kX509, X509Id()));
  EXPECT_EQ(world_.log.Count("The key of an authority is gone"), 1);
}

TEST_F(AuthoritiesTest, AKeyThatWasSwappedIsNotUsed) {
  std::string first = X509Id();
  world_.Close();
  ASSERT_TRUE(world_.keys->Generate(Only(kX509, kActive).key_name, KeyType::kEcP256).ok());
  ASSERT_TRUE(world_.Open().ok());
  EXPECT_NE(X509Id(), first);
  EXPECT_EQ(world_.authorities->CurrentX509()->signer->Public(),
            world_.authorities->CurrentX509()->certificate.public_key());
}

TEST_F(AuthoritiesTest, APreparedAuthorityWithoutItsKeyIsReplacedToo) {
  world_.Live(hours(13));
  std::string lost = Only(kX509, kPrepared).authority_id;
  std::string first = X509Id();
  world_.Close();
  ASSERT_TRUE(world_.keys->Remove(Only(kX509, kPrepared).key_name).ok());
  ASSERT_TRUE(world_.Open().ok());
  EXPECT_EQ(X509Id(), first);
  EXPECT_NE(Only(kX509, kPrepared).authority_id, lost);
  EXPECT_EQ(Only(kX509, kOld).authority_id, lost);
}

TEST_F(AuthoritiesTest, StrayKeysOfOursAreRemovedAtTheStartAndOthersLeftAlone) {
  world_.Close();
  ASSERT_TRUE(world_.keys->Generate("ca-x509-0123", KeyType::kEcP256).ok());
  ASSERT_TRUE(world_.keys->Generate("ca-jwt-0123", KeyType::kEcP256).ok());
  ASSERT_TRUE(world_.keys->Generate("tls", KeyType::kEcP256).ok());
  ASSERT_TRUE(world_.Open().ok());
  EXPECT_EQ(world_.keys->Get("ca-x509-0123").code(), Code::kNotFound);
  EXPECT_EQ(world_.keys->Get("ca-jwt-0123").code(), Code::kNotFound);
  EXPECT_TRUE(world_.keys->Get("tls").ok());
  EXPECT_EQ(world_.keys->List().value().size(), 3u);
}

TEST_F(AuthoritiesTest, AfterALongStopTheExpiredAreReplacedAtOnce) {
  std::string first = X509Id();
  world_.Live(hours(13));
  world_.Close();
  world_.clock.Advance(hours(40));
  ASSERT_TRUE(world_.Open().ok());
  EXPECT_NE(X509Id(), first);
  EXPECT_GT(world_.authorities->CurrentX509()->certificate.not_after(), world_.clock.Now());
  EXPECT_TRUE(world_.InStoredBundle(kX509, X509Id()));
  EXPECT_TRUE(world_.Rows(kX509, kPrepared).empty());
}

TEST_F(AuthoritiesTest, AStopOverTheActivationTimeActivatesWhatTheBundleHeld) {
  world_.Live(hours(13));
  std::string second = Only(kX509, kPrepared).authority_id;
  world_.Close();
  world_.clock.Advance(hours(8));
  ASSERT_TRUE(world_.Open().ok());
  EXPECT_EQ(X509Id(), second);
}

TEST_F(AuthoritiesTest, ALateSuccessorIsHeldByTheBundleBeforeItSigns) {
  std::string first = X509Id();
  world_.Close();
  world_.clock.Advance(hours(21));  // past both moments, not expired
  ASSERT_TRUE(world_.Open().ok());
  EXPECT_EQ(X509Id(), first);
  std::string second = Only(kX509, kPrepared).authority_id;
  EXPECT_TRUE(world_.InStoredBundle(kX509, second));
  EXPECT_EQ(world_.authorities->Step() > world_.clock.Now(), true);
  EXPECT_EQ(X509Id(), second);
}

TEST_F(AuthoritiesTest, ActivatesNothingThatTheBundleDoesNotHold) {
  std::string first = X509Id();
  world_.Live(hours(12) - seconds(1));
  world_.clock.Advance(seconds(1));
  // The keys and journal rows of both succeed, their bundle steps do not: key, row, bundle (fails).
  world_.fault.Arm(FaultPoint::Kind::kCrashBefore, 3);
  Time retry = world_.authorities->Step();
  EXPECT_LE(retry, world_.clock.Now() + seconds(5));
  std::string second = Only(kX509, kPrepared).authority_id;
  EXPECT_FALSE(world_.InStoredBundle(kX509, second));
  world_.clock.Advance(hours(9));
  world_.authorities->Step();
  EXPECT_EQ(X509Id(), first);
  world_.fault.Heal();
  world_.authorities->Step();
  EXPECT_EQ(X509Id(), first);
  EXPECT_TRUE(world_.InStoredBundle(kX509, second));
  world_.authorities->Step();
  EXPECT_EQ(X509Id(), second);
}

TEST_F(AuthoritiesTest, AFailingJournalIsRetriedWithTheSameAuthority) {
  world_.Live(hours(12) - seconds(1));
  world_.clock.Advance(seconds(1));
  size_t keys_before = world_.keys->List().value().size();
  world_.store.FailWrites(Unavailable("disk full"));
  for (int i = 0; i < 20; ++i) {
    Time retry = world_.authorities->Step();
    EXPECT_EQ(retry, world_.clock.Now() + seconds(5));
    world_.clock.Advance(seconds(5));
  }
  std::vector<std::string> keys = world_.keys->List().value();
  EXPECT_EQ(keys.size(), keys_before + 2);  // one X.509, one JWT
  EXPECT_TRUE(world_.Rows(kX509, kPrepared).empty());
  world_.store.FailWrites(OkStatus());
  world_.authorities->Step();
  EXPECT_EQ(world_.keys->List().value(), keys);
  EXPECT_NE(std::find(keys.begin(), keys.end(), Only(kX509, kPrepared).key_name), keys.end());
  EXPECT_GE(world_.log.Count("failed and is retried"), 20);
}

TEST_F(AuthoritiesTest, AStoreThatIsAwayForAWholeLifeEndsInANewAuthority) {
  world_.Live(hours(12) - seconds(1));
  world_.store.FailWrites(Unavailable("disk full"));
  for (int hour = 0; hour < 60; ++hour) {
    world_.clock.Advance(hours(1));
    world_.authorities->Step();
  }
  EXPECT_LT(world_.authorities->CurrentX509()->certificate.not_after(), world_.clock.Now());
  world_.store.FailWrites(OkStatus());
  world_.Live(minutes(1));
  EXPECT_GT(world_.authorities->CurrentX509()->certificate.not_after(), world_.clock.Now());
  EXPECT_GT(world_.authorities->CurrentJwt()->not_after, world_.clock.Now());
  ASSERT_TRUE(world_.Open().ok());
  EXPECT_EQ(world_.keys->List().value().size(), world_.store.journal().Load().value().size());
}

TEST_F(AuthoritiesTest, AClockSetBackMakesAnAuthorityThatIsValidNow) {
  std::string first = X509Id();
  world_.clock.JumpWallTime(-hours(5));
  world_.authorities->Step();
  std::string second = X509Id();
  EXPECT_NE(second, first);
  EXPECT_LE(world_.authorities->CurrentX509()->certificate.not_before(), world_.clock.Now());
  EXPECT_TRUE(world_.InStoredBundle(kX509, first));
  world_.clock.JumpWallTime(hours(5));
  world_.authorities->Step();
  EXPECT_EQ(X509Id(), second);
}

TEST_F(AuthoritiesTest, AClockSetBackALittleChangesNothing) {
  std::string first = X509Id(), jwt = JwtId();
  world_.clock.JumpWallTime(-seconds(50));
  world_.authorities->Step();
  EXPECT_EQ(X509Id(), first);
  EXPECT_EQ(JwtId(), jwt);
}

TEST_F(AuthoritiesTest, AClockSetFarAheadReplacesWhatItMadeExpire) {
  std::string first = X509Id();
  world_.clock.JumpWallTime(hours(24 * 365));
  world_.authorities->Step();
  EXPECT_NE(X509Id(), first);
  EXPECT_GT(world_.authorities->CurrentX509()->certificate.not_after(), world_.clock.Now());
  world_.clock.JumpWallTime(-hours(24 * 365));
  world_.authorities->Step();
  EXPECT_LE(world_.authorities->CurrentX509()->certificate.not_before(), world_.clock.Now());
  EXPECT_LE(world_.authorities->CurrentJwt()->not_after, world_.clock.Now() + hours(25));
}

TEST_F(AuthoritiesTest, RefusesAJournalOfAnotherTrustDomain) {
  std::unique_ptr<BundleHolder> holder = std::move(world_.holder);
  const TrustDomain other = TrustDomain::Parse("example.com").value();
  Result<std::unique_ptr<Authorities>> opened =
      Authorities::Open({.trust_domain = other,
                         .store = &world_.store,
                         .bundle = holder.get(),
                         .keys = world_.keys.get(),
                         .clock = &world_.clock,
                         .random = &world_.random,
                         .log = &world_.log});
  EXPECT_FALSE(opened.ok());
  EXPECT_NE(opened.status().message().find("example.org"), std::string::npos);
}

TEST_F(AuthoritiesTest, RefusesToStartOnAStoreOrKeysThatFail) {
  world_.store.FailReads(DataLoss("corrupt"));
  EXPECT_EQ(world_.Open().code(), Code::kDataLoss);
  world_.store.FailReads(OkStatus());
  AuthoritiesWorld fresh;
  fresh.store.FailWrites(Unavailable("read-only"));
  EXPECT_EQ(fresh.Open().code(), Code::kUnavailable);
}

TEST(AuthoritiesOnDiskTest, ARestartOfTheRealStoreAndKeysChangesNothing) {
  TempDir place;
  const TrustDomain td = TrustDomain::Parse("example.org").value();
  FakeClock clock;
  SeededRandom random(3);
  FakeLog log;
  std::string x509, jwt;
  // Over two successions, with a restart of everything each three hours.
  for (int start = 0; start < 12; ++start) {
    std::unique_ptr<Store> store =
        OpenSqliteStore({.path = place / "store.db"}).value();
    std::unique_ptr<KeyManager> keys = OpenDiskKeys(place / "keys").value();
    std::unique_ptr<BundleHolder> holder = BundleHolder::Load(store->bundles(), td).value();
    std::unique_ptr<Authorities> authorities = Authorities::Open({.trust_domain = td,
                                                                  .store = store.get(),
                                                                  .bundle = holder.get(),
                                                                  .keys = keys.get(),
                                                                  .clock = &clock,
                                                                  .random = &random,
                                                                  .log = &log})
                                                   .value();
    if (start > 0) {
      EXPECT_EQ(authorities->CurrentX509()->authority_id, x509);
      EXPECT_EQ(authorities->CurrentJwt()->authority_id, jwt);
    }
    for (int minute = 0; minute < 180; minute += 30) {
      clock.Advance(minutes(30));
      authorities->Step();
    }
    x509 = authorities->CurrentX509()->authority_id;
    jwt = authorities->CurrentJwt()->authority_id;
    EXPECT_NE(holder->Current()->FindJwt(jwt), nullptr);
    ASSERT_TRUE(store->Close().ok());
  }
  EXPECT_EQ(log.Count("failed"), 0);
  EXPECT_EQ(log.Count("Authority activated"), 6);  // the first two, and two successions of each
}

}  // namespace
}  // namespace writ
