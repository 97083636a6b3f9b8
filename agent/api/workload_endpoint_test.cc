// SPDX-License-Identifier: Apache-2.0
//
// The SPIFFE Workload Endpoint standard, clause by clause (docs/conformance.md cites these names).
#include <grpcpp/generic/generic_stub.h>
#include <sys/stat.h>

#include "agent/api/api_fixture.h"
#include "core/net/grpc_channel.h"
#include "grpc/health/v1/health.grpc.pb.h"

namespace writ {
namespace {

class WorkloadEndpointTest : public ApiFixture {
 protected:
  // The status of every method of the service under the same metadata.
  std::map<std::string, grpc::Status> CallAll(
      const std::vector<std::pair<std::string, std::string>>& metadata) {
    const auto context = [&] {
      auto context = Context(/*with_header=*/false);
      for (const auto& [key, value] : metadata) context->AddMetadata(key, value);
      return context;
    };
    std::map<std::string, grpc::Status> statuses;
    const auto stream = [&](const std::string& name, auto call, auto request, auto response) {
      auto call_context = context();
      auto reader = call(call_context.get(), request);
      if (reader->Read(&response)) {
        call_context->TryCancel();
        statuses[name] = grpc::Status::OK;
      } else {
        statuses[name] = reader->Finish();
      }
    };
    stream("FetchX509SVID", [&](auto* c, auto& r) { return stub_->FetchX509SVID(c, r); },
           X509SVIDRequest(), X509SVIDResponse());
    stream("FetchX509Bundles", [&](auto* c, auto& r) { return stub_->FetchX509Bundles(c, r); },
           X509BundlesRequest(), X509BundlesResponse());
    stream("FetchJWTBundles", [&](auto* c, auto& r) { return stub_->FetchJWTBundles(c, r); },
           JWTBundlesRequest(), JWTBundlesResponse());
    stream("FetchWITSVID", [&](auto* c, auto& r) { return stub_->FetchWITSVID(c, r); },
           WITSVIDRequest(), WITSVIDResponse());
    stream("FetchWITBundles", [&](auto* c, auto& r) { return stub_->FetchWITBundles(c, r); },
           WITBundlesRequest(), WITBundlesResponse());
    JWTSVIDRequest fetch;
    fetch.add_audience("audience");
    JWTSVIDResponse fetched;
    statuses["FetchJWTSVID"] = stub_->FetchJWTSVID(context().get(), fetch, &fetched);
    ValidateJWTSVIDRequest validate;
    validate.set_audience("audience");
    validate.set_svid(SignToken(Claims("spiffe://example.org/a", "audience", 60)));
    ValidateJWTSVIDResponse validated;
    statuses["ValidateJWTSVID"] = stub_->ValidateJWTSVID(context().get(), validate, &validated);
    return statuses;
  }

  // One message to any method, without the header.
  grpc::Status CallRaw(const std::string& method, const std::string& message) {
    grpc::GenericStub stub(UnixChannel(socket_));
    const auto context = Context(/*with_header=*/false);
    grpc::CompletionQueue queue;
    const grpc::Slice slice(message);
    auto call = stub.PrepareUnaryCall(context.get(), method, grpc::ByteBuffer(&slice, 1), &queue);
    grpc::ByteBuffer response;
    grpc::Status status;
    void* tag;
    bool ok;
    call->StartCall();
    call->Finish(&response, &status, this);
    CHECK(queue.Next(&tag, &ok));
    return status;
  }

  void ExpectAll(const std::vector<std::pair<std::string, std::string>>& metadata,
                 grpc::StatusCode code) {
    for (const auto& [method, status] : CallAll(metadata)) {
      EXPECT_EQ(status.error_code(), code) << method << ": " << status.error_message();
    }
  }
};

// Section 3, "Requests not including this metadata key/value MUST be rejected"; section 6.
TEST_F(WorkloadEndpointTest, MissingSecurityHeaderIsInvalidArgumentForEveryMethod) {
  ApplyOneIdentity();
  ExpectAll({}, grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(WorkloadEndpointTest, SecurityHeaderOfAnotherValueIsInvalidArgument) {
  ApplyOneIdentity();
  for (const char* value : {"false", "True", "TRUE", "1", "", "true,true", "truex"}) {
    SCOPED_TRACE(value);
    ExpectAll({{"workload.spiffe.io", value}}, grpc::StatusCode::INVALID_ARGUMENT);
  }
}

TEST_F(WorkloadEndpointTest, RepeatedSecurityHeaderIsInvalidArgument) {
  ApplyOneIdentity();
  ExpectAll({{"workload.spiffe.io", "true"}, {"workload.spiffe.io", "true"}},
            grpc::StatusCode::INVALID_ARGUMENT);
  ExpectAll({{"workload.spiffe.io", "true"}, {"workload.spiffe.io", "false"}},
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(WorkloadEndpointTest, WithTheHeaderEveryBuiltMethodAnswers) {
  ApplyOneIdentity();
  for (const auto& [method, status] : CallAll({{"workload.spiffe.io", "true"}})) {
    const bool optional = method.find("WIT") != std::string::npos;
    EXPECT_EQ(status.error_code(),
              optional ? grpc::StatusCode::UNIMPLEMENTED : grpc::StatusCode::OK)
        << method << ": " << status.error_message();
  }
}

// Section 6: "still initializing" is Unavailable.
TEST_F(WorkloadEndpointTest, BeforeTheFirstSyncEveryMethodIsUnavailable) {
  for (const auto& [method, status] : CallAll({{"workload.spiffe.io", "true"}})) {
    if (method.find("WIT") != std::string::npos) continue;
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE)
        << method << ": " << status.error_message();
  }
}

// Section 6: a caller without an identity is PermissionDenied.
TEST_F(WorkloadEndpointTest, ACallerWithoutIdentityIsPermissionDenied) {
  attestor_->Answer(0, std::vector<Selector>{b_});
  ApplyOneIdentity();
  for (const auto& [method, status] : CallAll({{"workload.spiffe.io", "true"}})) {
    if (method.find("WIT") != std::string::npos || method == "ValidateJWTSVID") continue;
    EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED) << method;
    EXPECT_TRUE(status.error_message().starts_with("no identity issued")) << method;
    EXPECT_NE(status.error_message().find("`writ why --id "), std::string::npos) << method;
  }
}

// Section 5: the workload takes no part in its authentication; who cannot be identified by other
// means is not served.
TEST_F(WorkloadEndpointTest, ACallerThatNoAttestorIdentifiesIsUnavailable) {
  attestor_->Answer(0, Internal("broken"));
  ApplyOneIdentity();
  for (const auto& [method, status] : CallAll({{"workload.spiffe.io", "true"}})) {
    if (method.find("WIT") != std::string::npos) continue;
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE) << method;
  }
}

// Section 2 and 3: a local socket, open to every local process whatever the umask.
TEST_F(WorkloadEndpointTest, TheSocketIsOpenToEveryLocalProcess) {
  struct stat file;
  ASSERT_EQ(stat(socket_.c_str(), &file), 0);
  EXPECT_TRUE(S_ISSOCK(file.st_mode));
  EXPECT_EQ(file.st_mode & 07777, 0666u);
  ASSERT_EQ(stat((dir_ / "public").c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 07777, 0755u);
}

// Section 7: other services stand beside the Workload API, server reflection among them; the header
// is the Workload API's.
TEST_F(WorkloadEndpointTest, HealthAndReflectionNeedNoHeader) {
  const auto context = Context(/*with_header=*/false);
  grpc::health::v1::HealthCheckResponse health;
  const auto stub = grpc::health::v1::Health::NewStub(UnixChannel(socket_));
  EXPECT_TRUE(stub->Check(context.get(), {}, &health).ok());
  const std::string list_services("\x3a\x00", 2);
  EXPECT_TRUE(
      CallRaw("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", list_services)
          .ok());
}

TEST_F(WorkloadEndpointTest, UnknownMethodsAndServicesAreUnimplemented) {
  EXPECT_EQ(CallRaw("/SpiffeWorkloadAPI/FetchEverything", "").error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(CallRaw("/Other/Method", "").error_code(), grpc::StatusCode::UNIMPLEMENTED);
}

// Section 5: each connection is its own process's, whoever speaks on it.
TEST_F(WorkloadEndpointTest, TheProcessThatConnectedIsTheCaller) {
  OtherProcess other(socket_);
  attestor_->Answer(other.pid(), std::vector<Selector>{b_});
  cache_->Apply({.put = {MakeEntry("e1", "/a", {a_}), MakeEntry("e2", "/b", {b_})},
                 .x509 = {{"e1", MakeX509("chain 1")}, {"e2", MakeX509("chain 2")}},
                 .bundle = MakeBundle(1)});
  const auto stub = SpiffeWorkloadAPI::NewStub(other.Channel());
  const auto context = Context();
  X509SVIDResponse response;
  ASSERT_TRUE(stub->FetchX509SVID(context.get(), {})->Read(&response));
  ASSERT_EQ(response.svids_size(), 1);
  EXPECT_EQ(response.svids(0).spiffe_id(), "spiffe://example.org/b");
}

TEST_F(WorkloadEndpointTest, ADescriptorThatOutlivesItsProcessIsNotServed) {
  OtherProcess other(socket_);
  ApplyOneIdentity();
  const auto stub = SpiffeWorkloadAPI::NewStub(other.Channel());
  const auto stream_context = Context();
  auto stream = stub->FetchX509SVID(stream_context.get(), {});
  X509SVIDResponse response;
  ASSERT_TRUE(stream->Read(&response));
  other.Kill();
  Rotate("e1", "chain 2");  // what the open stream would carry
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);

  const auto context = Context();
  auto again = stub->FetchX509SVID(context.get(), {});
  EXPECT_FALSE(again->Read(&response));
  EXPECT_EQ(again->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace writ
