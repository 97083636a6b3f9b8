// SPDX-License-Identifier: Apache-2.0
//
// The way in, over a real gRPC server on a Unix socket: registration, authorization, mapping of
// statuses, records before answers.
#include "server/api/front.h"

#include <grpcpp/generic/generic_stub.h>

#include "core/net/grpc_channel.h"
#include "google/rpc/status.pb.h"
#include "server/api/front_fixture.h"
#include "spire/api/server/agent/v1/agent.grpc.pb.h"
#include "spire/api/server/entry/v1/entry.grpc.pb.h"

namespace writ {
namespace {

// Calls a unary method with an empty request.
grpc::Status CallEmpty(const std::shared_ptr<grpc::Channel>& channel, const std::string& method) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  grpc::Slice empty;
  grpc::ByteBuffer request(&empty, 1);
  grpc::ByteBuffer response;
  grpc::CompletionQueue queue;
  auto call = stub.PrepareUnaryCall(&context, method, request, &queue);
  grpc::Status status;
  call->StartCall();
  call->Finish(&response, &status, &call);
  void* tag = nullptr;
  bool ok = false;
  EXPECT_TRUE(queue.Next(&tag, &ok));
  return status;
}

using FrontTest = FrontFixture;

// Each method passes authorization before anything else; what is not built says so afterwards.
TEST_F(FrontTest, EveryMethodIsRegisteredAndAuthorizedBeforeItRuns) {
  for (const MethodRow& row : AllMethods()) {
    const std::string_view name(row.full_name);
    if (!name.starts_with("/spire.") && !name.starts_with("/writ.v1.Notices/")) continue;
    grpc::Status status = CallEmpty(channel_, row.full_name);
    bool local_may = row.allowed & (kAny | kLocal);
    EXPECT_EQ(status.error_code() == grpc::StatusCode::PERMISSION_DENIED, !local_may)
        << row.full_name << ": " << status.error_message();
    EXPECT_NE(status.error_code(), grpc::StatusCode::INTERNAL) << status.error_message();
    if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED) {
      EXPECT_EQ(status.error_message(), std::string(row.method()) + " is not built yet");
    }
  }
}

TEST_F(FrontTest, UnknownMethodIsUnimplemented) {
  EXPECT_EQ(CallEmpty(channel_, "/spire.api.server.entry.v1.Entry/Nothing").error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(FrontTest, GarbageInsteadOfAMessageIsRefusedNotSuffered) {
  grpc::GenericStub stub(channel_);
  grpc::ClientContext context;
  grpc::Slice garbage("\xff\xff\xff\xff\xff");
  grpc::ByteBuffer request(&garbage, 1);
  grpc::ByteBuffer response;
  grpc::CompletionQueue queue;
  auto call = stub.PrepareUnaryCall(&context, "/spire.api.server.entry.v1.Entry/BatchCreateEntry",
                                    request, &queue);
  grpc::Status status;
  call->StartCall();
  call->Finish(&response, &status, &call);
  void* tag = nullptr;
  bool ok = false;
  ASSERT_TRUE(queue.Next(&tag, &ok));
  EXPECT_FALSE(status.ok());
  EXPECT_TRUE(CallEmpty(channel_, "/spire.api.server.bundle.v1.Bundle/GetBundle").ok());
}

TEST_F(FrontTest, ChangeIsRecordedBeforeItsAnswer) {
  auto stub = entry_pb::Entry::NewStub(channel_);
  entry_pb::BatchCreateEntryRequest request;
  *request.add_entries() = NewEntry("/web");
  entry_pb::BatchCreateEntryResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(stub->BatchCreateEntry(&context, request, &response).ok());
  std::vector<AuditEvent> events = audit_.Events();
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events.back().action, "entry.create");
  EXPECT_EQ(events.back().actor, "unix:uid:" + std::to_string(geteuid()));

  audit_.Fail(Unavailable("the disk is full"));
  *request.mutable_entries(0) = NewEntry("/web2");
  grpc::ClientContext second;
  grpc::Status status = stub->BatchCreateEntry(&second, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  audit_.Fail(OkStatus());
  EXPECT_EQ(registry_->CountEntries({}), 1u);  // no change without its record
}

TEST_F(FrontTest, AttestationStreamEndsAfterItsResult) {
  auto stub = agent_pb::Agent::NewStub(channel_);
  agent_pb::CreateJoinTokenRequest create;
  create.set_ttl(60);
  create.set_token("t1");
  types::JoinToken token;
  grpc::ClientContext first;
  ASSERT_TRUE(stub->CreateJoinToken(&first, create, &token).ok());

  grpc::ClientContext context;
  auto stream = stub->AttestAgent(&context);
  agent_pb::AttestAgentRequest request;
  request.mutable_params()->mutable_data()->set_type("join_token");
  request.mutable_params()->mutable_data()->set_payload("t1");
  request.mutable_params()->mutable_params()->set_csr(Csr());
  ASSERT_TRUE(stream->Write(request));
  agent_pb::AttestAgentResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.result().svid().id().path(), "/spire/agent/join_token/t1");
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());

  grpc::ClientContext empty;
  auto silent = stub->AttestAgent(&empty);
  silent->WritesDone();
  EXPECT_EQ(silent->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(FrontTest, AbandonedStreamsLeaveNothingBehind) {
  auto stub = agent_pb::Agent::NewStub(channel_);
  for (int i = 0; i < 20; ++i) {
    grpc::ClientContext context;
    auto stream = stub->AttestAgent(&context);
    context.TryCancel();
    EXPECT_FALSE(stream->Finish().ok());
  }
  EXPECT_TRUE(CallEmpty(channel_, "/spire.api.server.bundle.v1.Bundle/GetBundle").ok());
}

TEST_F(FrontTest, CallsAreCounted) {
  CallEmpty(channel_, "/spire.api.server.bundle.v1.Bundle/GetBundle");
  server_->Shutdown(system_clock_.Monotonic());
  EXPECT_NE(metrics_->Exposition().find("method=\"GetBundle\""), std::string::npos);
}

TEST(ToWireTest, ReasonTravelsInTheStatusDetails) {
  grpc::Status wire = ToWire(DenyAgent(AgentDenial::kBanned, "agent is banned"));
  EXPECT_EQ(wire.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(wire.error_details()));
  EXPECT_EQ(details.code(), 7);
  ASSERT_EQ(details.details_size(), 1);
  types::PermissionDeniedDetails why;
  ASSERT_TRUE(details.details(0).UnpackTo(&why));
  EXPECT_EQ(why.reason(), types::PermissionDeniedDetails::AGENT_BANNED);
  EXPECT_TRUE(ToWire(PermissionDenied("no")).error_details().empty());
}

TEST(ToWireTest, MessagesAreBoundedAndPrintable) {
  grpc::Status wire = ToWire(InvalidArgument("a\n\xff" + std::string(100'000, 'x')));
  EXPECT_LT(wire.error_message().size(), 3000u);
  EXPECT_EQ(wire.error_message().substr(0, 3), "a??");
}

}  // namespace
}  // namespace writ
