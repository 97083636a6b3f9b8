// SPDX-License-Identifier: Apache-2.0
//
// Server reflection is there where it is asked for, and on that server alone.
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include "core/net/grpc_channel.h"
#include "core/net/grpc_server.h"
#include "core/net/health.h"
#include "test/fake/fake_clock.h"
#include "test/fake/fake_log.h"
#include "test/support/paths.h"

namespace writ {
namespace {

constexpr char kMethod[] = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
constexpr char kListServices[] = {0x3a, 0x00};  // ServerReflectionRequest{list_services: ""}

class ReflectionTest : public testing::Test {
 protected:
  // The answer's bytes, in which the names of the services stand as they are.
  grpc::Status ListServices(bool reflection, std::string* answer) {
    auto health = HealthService::Make({.ready = [] { return OkStatus(); }, .clock = &clock_});
    auto server = GrpcServer::Start({.name = "test",
                                     .services = {health->service()},
                                     .reflection = reflection,
                                     .unix_listeners = {{.path = dir_ / "test.sock"}},
                                     .clock = &system_clock_,
                                     .log = &log_});
    CHECK(server.ok());
    grpc::GenericStub stub(UnixChannel(dir_ / "test.sock"));
    grpc::ClientContext context;
    grpc::CompletionQueue queue;
    const grpc::Slice slice(kListServices, sizeof kListServices);
    // The client's half ends with its one message, so one answer is all that comes.
    auto call = stub.PrepareUnaryCall(&context, kMethod, grpc::ByteBuffer(&slice, 1), &queue);
    grpc::ByteBuffer response;
    grpc::Status status;
    void* tag;
    bool ok;
    call->StartCall();
    call->Finish(&response, &status, this);
    CHECK(queue.Next(&tag, &ok));
    grpc::Slice bytes;
    if (status.ok() && response.DumpToSingleSlice(&bytes).ok()) {
      answer->assign(bytes.begin(), bytes.end());
    }
    (*server)->Shutdown(system_clock_.Monotonic() + std::chrono::seconds(20));
    return status;
  }

  TempDir dir_;
  FakeClock clock_;
  SystemClock system_clock_;
  FakeLog log_;
};

TEST_F(ReflectionTest, NamesTheServicesOfItsServer) {
  std::string answer;
  const grpc::Status status = ListServices(/*reflection=*/true, &answer);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_NE(answer.find("grpc.health.v1.Health"), std::string::npos);
}

TEST_F(ReflectionTest, IsUnimplementedWhereItIsNotAskedFor) {
  std::string answer;
  ASSERT_TRUE(ListServices(/*reflection=*/true, &answer).ok());
  EXPECT_EQ(ListServices(/*reflection=*/false, &answer).error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
}

}  // namespace
}  // namespace writ
