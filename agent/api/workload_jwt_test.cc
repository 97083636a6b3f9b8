// SPDX-License-Identifier: Apache-2.0
//
// The JWT-SVID profile of the SPIFFE Workload API, clause by clause (docs/conformance.md cites
// these names).
#include "agent/api/api_fixture.h"
#include "agent/svid/jwt_fetcher.h"
#include "core/base/thread.h"

namespace writ {
namespace {

using std::chrono::milliseconds;

class WorkloadApiJwtTest : public ApiFixture {
 protected:
  grpc::Status Fetch(const std::vector<std::string>& audience, const std::string& id = "") {
    JWTSVIDRequest request;
    for (const std::string& value : audience) request.add_audience(value);
    request.set_spiffe_id(id);
    fetched_.Clear();
    return stub_->FetchJWTSVID(Context().get(), request, &fetched_);
  }
  grpc::Status Validate(const std::string& token, const std::string& audience) {
    ValidateJWTSVIDRequest request;
    request.set_svid(token);
    request.set_audience(audience);
    validated_.Clear();
    return stub_->ValidateJWTSVID(Context().get(), request, &validated_);
  }

  // Fake time that passes by itself, a hundred times as fast.
  Thread LetTimePass() {
    return Thread("time", [this](std::stop_token stop) {
      while (system_clock_.WaitUntil(system_clock_.Monotonic() + milliseconds(1), stop)) {
        clock_.Advance(milliseconds(100));
      }
    });
  }

  JWTSVIDResponse fetched_;
  ValidateJWTSVIDResponse validated_;
};

// Section 6.2.1: without spiffe_id, all identities.
TEST_F(WorkloadApiJwtTest, FetchGivesATokenForEachIdentity) {
  Entry hinted = MakeEntry("e2", "/b", {a_});
  hinted.hint = "external";
  cache_->Apply({.put = {MakeEntry("e1", "/a", {a_}), hinted}, .bundle = MakeBundle(1)});
  const grpc::Status status = Fetch({"x", "y"});
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(fetched_.svids_size(), 2);
  EXPECT_EQ(fetched_.svids(0).spiffe_id(), "spiffe://example.org/a");
  EXPECT_EQ(fetched_.svids(0).svid(), "spiffe://example.org/a|x,y,");
  EXPECT_EQ(fetched_.svids(0).hint(), "");
  EXPECT_EQ(fetched_.svids(1).spiffe_id(), "spiffe://example.org/b");
  EXPECT_EQ(fetched_.svids(1).hint(), "external");
}

TEST_F(WorkloadApiJwtTest, FetchForOneIdGivesThatOneAlone) {
  cache_->Apply({.put = {MakeEntry("e1", "/a", {a_}), MakeEntry("e2", "/b", {a_})},
                 .bundle = MakeBundle(1)});
  ASSERT_TRUE(Fetch({"x"}, "spiffe://example.org/b").ok());
  ASSERT_EQ(fetched_.svids_size(), 1);
  EXPECT_EQ(fetched_.svids(0).spiffe_id(), "spiffe://example.org/b");
}

TEST_F(WorkloadApiJwtTest, FetchForAnIdThatTheCallerDoesNotHoldIsPermissionDenied) {
  cache_->Apply({.put = {MakeEntry("e1", "/a", {a_}), MakeEntry("e2", "/b", {b_})},
                 .bundle = MakeBundle(1)});
  EXPECT_EQ(Fetch({"x"}, "spiffe://example.org/b").error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(Fetch({"x"}, "spiffe://other.org/a").error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
}

// Section 4.5 and 6.2.1: audience is mandatory.
TEST_F(WorkloadApiJwtTest, FetchWithoutAudienceIsInvalidArgument) {
  ApplyOneIdentity();
  EXPECT_EQ(Fetch({}).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Fetch({""}).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Fetch(std::vector<std::string>(kAudiencesMax + 1, "x")).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Fetch({std::string(kAudienceBytesMax + 1, 'x')}).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(WorkloadApiJwtTest, FetchForAMalformedIdIsInvalidArgument) {
  ApplyOneIdentity();
  for (const char* id : {"a", "spiffe://", "https://example.org/a", "spiffe://example.org/a/",
                         "SPIFFE://example.org/a"}) {
    EXPECT_EQ(Fetch({"x"}, id).error_code(), grpc::StatusCode::INVALID_ARGUMENT) << id;
  }
}

TEST_F(WorkloadApiJwtTest, FetchWhileTheServerIsAwayIsUnavailable) {
  ApplyOneIdentity();
  jwt_.Fail(Unavailable("server away"));
  const Thread time = LetTimePass();
  const grpc::Status status = Fetch({"x"});
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_NE(status.error_message().find("server away"), std::string::npos);
  EXPECT_EQ(fetched_.svids_size(), 0);
}

TEST_F(WorkloadApiJwtTest, FetchWhileTheAgentIsDeniedIsUnavailable) {
  ApplyOneIdentity();
  jwt_.Fail(PermissionDenied("agent is not active"));
  EXPECT_EQ(Fetch({"x"}).error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(WorkloadApiJwtTest, FetchWaitsForAServerThatComesBack) {
  cache_->Apply({.put = {MakeEntry("e1", "/a", {a_}), MakeEntry("e2", "/b", {a_})},
                 .bundle = MakeBundle(1)});
  jwt_.Fail(Unavailable("server away"));
  grpc::Status status;
  Thread caller("caller", [&](std::stop_token) { status = Fetch({"x"}); });
  jwt_.AwaitFetch();
  jwt_.Fail(OkStatus());
  const Thread time = LetTimePass();
  caller.Join();
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(fetched_.svids_size(), 2);
  EXPECT_EQ(fetched_.svids(1).svid(), "spiffe://example.org/b|x,");
}

TEST_F(WorkloadApiJwtTest, AProcessThatFloodsLeavesOthersTheirWaits) {
  constexpr size_t kShare = kJwtCallersWaitingMax / kProcessesPerPlaces;
  struct Call {
    std::unique_ptr<grpc::ClientContext> context = Context();
    JWTSVIDRequest request;
    JWTSVIDResponse response;
  };
  ApplyOneIdentity();
  OtherProcess other(socket_);
  const auto stub = SpiffeWorkloadAPI::NewStub(other.Channel());
  jwt_.Fail(Unavailable("server away"));
  std::vector<Call> flood(kShare + 1);
  Mutex mu;
  CondVar ended;
  std::vector<grpc::Status> statuses;
  const auto await = [&](size_t count) {
    MutexLock lock(mu);
    while (statuses.size() < count) ended.Wait(mu);
  };
  for (size_t i = 0; i < flood.size(); ++i) {
    flood[i].request.add_audience("flood " + std::to_string(i));
    stub_->async()->FetchJWTSVID(flood[i].context.get(), &flood[i].request, &flood[i].response,
                                 [&](const grpc::Status& status) {
                                   MutexLock lock(mu);
                                   statuses.push_back(status);
                                   ended.NotifyAll();
                                 });
  }
  await(1);
  EXPECT_NE(statuses[0].error_message().find("its share of waits"), std::string::npos);
  jwt_.Fail(OkStatus());
  JWTSVIDRequest request;
  request.add_audience("x");
  const grpc::Status status = stub->FetchJWTSVID(Context().get(), request, &fetched_);
  EXPECT_TRUE(status.ok()) << status.error_message();
  const Thread time = LetTimePass();
  await(flood.size());
  for (size_t i = 1; i < flood.size(); ++i) EXPECT_TRUE(statuses[i].ok());
}

TEST_F(WorkloadApiJwtTest, FetchThatWaitsEndsWhenTheAgentStops) {
  ApplyOneIdentity();
  jwt_.Fail(Unavailable("server away"));
  grpc::Status status;
  Thread caller("caller", [&](std::stop_token) { status = Fetch({"x"}); });
  jwt_.AwaitFetch();
  api_->EndStreams();
  caller.Join();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(WorkloadApiJwtTest, FetchForAProcessThatIsGoneIsUnavailable) {
  OtherProcess other(socket_);
  ApplyOneIdentity();
  const auto stub = SpiffeWorkloadAPI::NewStub(other.Channel());
  JWTSVIDRequest request;
  request.add_audience("x");
  ASSERT_TRUE(stub->FetchJWTSVID(Context().get(), request, &fetched_).ok());
  other.Kill();
  EXPECT_EQ(stub->FetchJWTSVID(Context().get(), request, &fetched_).error_code(),
            grpc::StatusCode::UNAVAILABLE);
}

// Section 6.2.3.
TEST_F(WorkloadApiJwtTest, ValidateGivesTheIdAndAllClaimsWithTheAudienceAsAList) {
  ApplyOneIdentity();
  Json claims = Claims("spiffe://example.org/b", "x", 60);
  claims.Set("nested", Json(Json::Object{{"list", Json(Json::Array{1, "two", true, Json()})}}));
  const grpc::Status status = Validate(SignToken(claims), "x");
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(validated_.spiffe_id(), "spiffe://example.org/b");
  const auto& fields = validated_.claims().fields();
  EXPECT_EQ(fields.at("sub").string_value(), "spiffe://example.org/b");
  ASSERT_EQ(fields.at("aud").list_value().values_size(), 1);
  EXPECT_EQ(fields.at("aud").list_value().values(0).string_value(), "x");
  EXPECT_EQ(fields.at("exp").number_value(),
            static_cast<double>(ToUnixSeconds(clock_.Now()) + 60));
  const auto& list = fields.at("nested").struct_value().fields().at("list").list_value();
  ASSERT_EQ(list.values_size(), 4);
  EXPECT_EQ(list.values(0).number_value(), 1);
  EXPECT_EQ(list.values(1).string_value(), "two");
  EXPECT_TRUE(list.values(2).bool_value());
  EXPECT_TRUE(list.values(3).has_null_value());
}

TEST_F(WorkloadApiJwtTest, ValidateNeedsNoIdentity) {
  attestor_->Answer(0, std::vector<Selector>{b_});
  ApplyOneIdentity();
  EXPECT_TRUE(Validate(SignToken(Claims("spiffe://example.org/a", "x", 60)), "x").ok());
}

// Section 4.5: both fields are mandatory.
TEST_F(WorkloadApiJwtTest, ValidateWithoutTokenOrAudienceIsInvalidArgument) {
  ApplyOneIdentity();
  const std::string token = SignToken(Claims("spiffe://example.org/a", "x", 60));
  EXPECT_EQ(Validate(token, "").error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Validate("", "x").error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(WorkloadApiJwtTest, ValidateOfABadTokenIsInvalidArgument) {
  ApplyOneIdentity();
  const std::string good = SignToken(Claims("spiffe://example.org/a", "x", 60));
  const auto refused = [&](const std::string& token, const std::string& audience) {
    return Validate(token, audience).error_code() == grpc::StatusCode::INVALID_ARGUMENT;
  };
  EXPECT_TRUE(refused(good, "y"));
  EXPECT_TRUE(refused("not a token", "x"));
  EXPECT_TRUE(refused(good + "x", "x"));
  EXPECT_TRUE(refused(SignToken(Claims("spiffe://example.org/a", "x", -61)), "x"));
  EXPECT_FALSE(refused(SignToken(Claims("spiffe://example.org/a", "x", -59)), "x"));
  EXPECT_TRUE(refused(SignToken(Claims("spiffe://other.org/a", "x", 60)), "x"));
  EXPECT_TRUE(refused(SignToken(Claims("a", "x", 60)), "x"));
}

TEST_F(WorkloadApiJwtTest, CallersBeyondTheirLimitAreRefusedAtOnceAndTheOthersServed) {
  ApplyOneIdentity();
  OtherProcess other(socket_);
  auto stub = SpiffeWorkloadAPI::NewStub(other.Channel());
  JWTSVIDRequest request;
  request.add_audience("x");
  auto fetch = [&] {
    JWTSVIDResponse response;
    return stub->FetchJWTSVID(Context().get(), request, &response).error_code();
  };
  for (int i = 0; i < kCallsPerSecond; ++i) ASSERT_EQ(fetch(), grpc::StatusCode::OK);
  EXPECT_EQ(fetch(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  for (int i = 0; i < 2 * kCallsPerSecond; ++i) ASSERT_TRUE(Fetch({"x"}).ok());  // the agent's own
  clock_.Advance(std::chrono::seconds(1));
  EXPECT_EQ(fetch(), grpc::StatusCode::OK);
}

}  // namespace
}  // namespace writ
