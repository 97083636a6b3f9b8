// SPDX-License-Identifier: Apache-2.0
#include "agent/svid/jwt_source.h"

#include <set>

#include "agent/svid/token_fixture.h"

namespace writ {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

class JwtSourceTest : public TokenFixture {
 protected:
  Result<HeldJwt> Fetch(std::vector<std::string> audience = {"a"}) {
    return source_->Fetch(entry_, std::move(audience), clock_.Monotonic() + minutes(1));
  }
};

TEST_F(JwtSourceTest, ServesFromTheCacheUntilHalfLifeGiveOrTakeATenth) {
  EXPECT_EQ(Fetch()->token, "t1");
  clock_.Advance(seconds(134));
  EXPECT_EQ(Fetch()->token, "t1");
  EXPECT_EQ(source_->Held(entry_, {"a"})->token, "t1");
  clock_.Advance(seconds(32));
  EXPECT_EQ(source_->Held(entry_, {"a"})->token, "t1");
  EXPECT_EQ(Fetch()->token, "t2");
  EXPECT_EQ(Fetch()->token, "t2");
}

TEST_F(JwtSourceTest, TokensThatWereIssuedTogetherAreNotRenewedTogether) {
  std::set<Time> renewals;
  for (int i = 0; i < 20; ++i) renewals.insert(Fetch({std::to_string(i)})->renew_at);
  EXPECT_GT(renewals.size(), 15u);
  EXPECT_GE(*renewals.begin(), clock_.Now() + seconds(135));
  EXPECT_LE(*renewals.rbegin(), clock_.Now() + seconds(165));
}

TEST_F(JwtSourceTest, OneTokenServesEveryOrderOfItsAudiencesAndKeepsTheFirst) {
  EXPECT_EQ(Fetch({"b", "a"})->token, "t1");
  EXPECT_EQ(server_.last_audience(), (std::vector<std::string>{"b", "a"}));
  EXPECT_EQ(Fetch({"a", "b"})->token, "t1");
  EXPECT_EQ(Fetch({"a"})->token, "t2");
}

TEST_F(JwtSourceTest, FallsBackOnAValidTokenWhenTheServerIsAway) {
  EXPECT_TRUE(Fetch().ok());
  server_.Fail(Unavailable("away"));
  clock_.Advance(minutes(4));
  EXPECT_EQ(Fetch()->token, "t1");
  EXPECT_EQ(server_.last_deadline(), clock_.Monotonic() + seconds(5));
  clock_.Advance(minutes(1));
  EXPECT_FALSE(source_->Held(entry_, {"a"}).has_value());
  EXPECT_EQ(Fetch().code(), Code::kUnavailable);
  EXPECT_EQ(Fetch({"other"}).code(), Code::kUnavailable);
}

TEST_F(JwtSourceTest, ATokenThatHasEndedAtItsArrivalIsNeitherGivenOutNorKept) {
  server_.Age(minutes(5));
  EXPECT_EQ(Fetch().code(), Code::kInternal);
  EXPECT_FALSE(source_->Held(entry_, {"a"}).has_value());
  server_.Age(minutes(5) - seconds(1));
  EXPECT_EQ(Fetch()->token, "t2");
}

TEST_F(JwtSourceTest, AValidTokenOutlivesAnEndedOne) {
  EXPECT_EQ(Fetch()->token, "t1");
  clock_.Advance(minutes(4));
  server_.Age(minutes(5));
  EXPECT_EQ(Fetch()->token, "t1");
}

TEST_F(JwtSourceTest, TheServersRefusalOutweighsTheCache) {
  EXPECT_TRUE(Fetch().ok());
  clock_.Advance(minutes(4));
  server_.Fail(NotFound("no such entry"));
  EXPECT_EQ(Fetch().code(), Code::kNotFound);
}

TEST_F(JwtSourceTest, ADenialOfTheAgentLeavesTheValidToken) {
  server_.Fail(PermissionDenied("agent is not active").WithReason(3));
  EXPECT_EQ(Fetch().code(), Code::kPermissionDenied);
  server_.Fail(OkStatus());
  EXPECT_TRUE(Fetch().ok());
  server_.Fail(PermissionDenied("agent is not active").WithReason(3));
  clock_.Advance(minutes(4));
  EXPECT_TRUE(Fetch().ok());
}

TEST_F(JwtSourceTest, TokensWithAJtiAreAlwaysFresh) {
  entry_.jwt_svid_include_jti = true;
  Put(entry_);
  EXPECT_EQ(Fetch()->token, "t1");
  EXPECT_EQ(Fetch()->token, "t2");
  EXPECT_FALSE(cache_->FindJwt(entry_, {"a"}).has_value());
}

}  // namespace
}  // namespace writ
