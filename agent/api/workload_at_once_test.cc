// SPDX-License-Identifier: Apache-2.0
//
// Calls that are answered on the thread on which they came: every attestor knows the caller without
// waiting, and what it may have is held.
#include "agent/api/api_fixture.h"

namespace writ {
namespace {

class WorkloadAtOnceTest : public ApiFixture {
 protected:
  WorkloadAtOnceTest() { attestor_->AnswerAtOnce(); }

  grpc::Status FetchJwt(JWTSVIDResponse* response, const std::string& audience,
                        const std::string& id = "") {
    JWTSVIDRequest request;
    request.add_audience(audience);
    request.set_spiffe_id(id);
    return stub_->FetchJWTSVID(Context().get(), request, response);
  }
  grpc::Status FirstX509(X509SVIDResponse* response) {
    auto context = Context();
    auto reader = stub_->FetchX509SVID(context.get(), {});
    if (!reader->Read(response)) return reader->Finish();
    context->TryCancel();
    return grpc::Status::OK;
  }
};

TEST_F(WorkloadAtOnceTest, StreamBeginsAndGoesOn) {
  ApplyOneIdentity();
  auto context = Context();
  auto reader = stub_->FetchX509SVID(context.get(), {});
  X509SVIDResponse response;
  ASSERT_TRUE(reader->Read(&response));
  ASSERT_EQ(response.svids_size(), 1);
  EXPECT_EQ(response.svids(0).spiffe_id(), "spiffe://example.org/a");
  Rotate("e1", "renewed");
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.svids(0).x509_svid(), "renewed");
  context->TryCancel();
}

TEST_F(WorkloadAtOnceTest, StreamWaitsForAnSvidThatIsToCome) {
  cache_->Apply({.put = {MakeEntry("e1", "/a", {a_})}, .bundle = MakeBundle(1)});
  auto context = Context();
  auto reader = stub_->FetchX509SVID(context.get(), {});
  Rotate("e1", "first");
  X509SVIDResponse response;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.svids(0).x509_svid(), "first");
  context->TryCancel();
}

TEST_F(WorkloadAtOnceTest, CallerWithoutAnIdentityIsRefused) {
  ApplyOneIdentity();
  attestor_->Answer(0, std::vector<Selector>{b_});
  X509SVIDResponse response;
  EXPECT_EQ(FirstX509(&response).error_code(), grpc::StatusCode::PERMISSION_DENIED);
  JWTSVIDResponse jwt;
  EXPECT_EQ(FetchJwt(&jwt, "x").error_code(), grpc::StatusCode::PERMISSION_DENIED);
}

TEST_F(WorkloadAtOnceTest, CallerThatNoAttestorKnowsIsUnavailable) {
  ApplyOneIdentity();
  attestor_->Answer(0, Internal("broken"));
  X509SVIDResponse response;
  EXPECT_EQ(FirstX509(&response).error_code(), grpc::StatusCode::UNAVAILABLE);
  JWTSVIDResponse jwt;
  EXPECT_EQ(FetchJwt(&jwt, "x").error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(WorkloadAtOnceTest, HeldJwtIsGivenOutWhileTheServerIsAway) {
  const Entry entry = MakeEntry("e1", "/a", {a_});
  cache_->Apply({.put = {entry}, .bundle = MakeBundle(1)});
  jwt_.Hold(entry, "x", "held-token");
  jwt_.Fail(Unavailable("the server is away"));
  JWTSVIDResponse response;
  const grpc::Status status = FetchJwt(&response, "x");
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(response.svids_size(), 1);
  EXPECT_EQ(response.svids(0).svid(), "held-token");
  jwt_.Fail(Internal("the server is broken"));
  EXPECT_EQ(FetchJwt(&response, "y").error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(WorkloadAtOnceTest, JwtsThatAreHeldOnlyInPartAreEachGivenOnce) {
  const Entry first = MakeEntry("e1", "/a", {a_});
  cache_->Apply({.put = {first, MakeEntry("e2", "/b", {a_})}, .bundle = MakeBundle(1)});
  jwt_.Hold(first, "x", "held-token");
  JWTSVIDResponse response;
  ASSERT_TRUE(FetchJwt(&response, "x").ok());
  ASSERT_EQ(response.svids_size(), 2);
  EXPECT_EQ(response.svids(0).spiffe_id(), "spiffe://example.org/a");
  EXPECT_EQ(response.svids(1).spiffe_id(), "spiffe://example.org/b");
}

}  // namespace
}  // namespace writ
