// SPDX-License-Identifier: Apache-2.0
//
// For this folder's tests: a service that says who calls, raw clients, waits.
#pragma once

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/file.h"
#include "core/net/grpc_server.h"
#include "spire/api/server/agent/v1/agent.grpc.pb.h"
#include "test/fake/fake_log.h"

namespace writ {

inline void AwaitLine(const FakeLog& log, std::string_view words) {
  while (log.Count(words) == 0) poll(nullptr, 0, 1);
}

// A call that is answered by nothing but its cancellation.
class HangingCall final : public grpc::ServerUnaryReactor {
 public:
  void OnCancel() override { Finish(grpc::Status::CANCELLED); }
  void OnDone() override { std::unique_ptr<HangingCall> owned(this); }
};

// CreateJoinToken echoes a token, and `on_call` sees the caller; CountAgents hangs.
class EchoService final : public spire::api::server::agent::v1::Agent::CallbackService {
 public:
  using OnCall = std::function<grpc::Status(const Peer*, const grpc::CallbackServerContext&)>;

  void SetServer(const GrpcServer* server) { server_ = server; }
  void SetOnCall(OnCall on_call) { on_call_ = std::move(on_call); }

  grpc::ServerUnaryReactor* CreateJoinToken(
      grpc::CallbackServerContext* context,
      const spire::api::server::agent::v1::CreateJoinTokenRequest* request,
      spire::api::types::JoinToken* response) override {
    std::shared_ptr<const Peer> peer = server_->PeerOf(*context);
    response->set_value(request->token());
    grpc::Status status;
    if (on_call_) status = on_call_(peer.get(), *context);
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(status);
    return reactor;
  }
  grpc::ServerUnaryReactor* CountAgents(
      grpc::CallbackServerContext*, const spire::api::server::agent::v1::CountAgentsRequest*,
      spire::api::server::agent::v1::CountAgentsResponse*) override {
    return std::make_unique<HangingCall>().release();
  }

 private:
  const GrpcServer* server_ = nullptr;  // set before the first call
  OnCall on_call_;                      // set before the first call
};

inline constexpr int kCallSecondsMax = 20;

// One call; `size` bytes there and back.
inline grpc::Status Echo(const std::shared_ptr<grpc::Channel>& channel, size_t size = 5) {
  auto stub = spire::api::server::agent::v1::Agent::NewStub(channel);
  grpc::ClientContext context;
  context.set_deadline(gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                                    gpr_time_from_seconds(kCallSecondsMax, GPR_TIMESPAN)));
  spire::api::server::agent::v1::CreateJoinTokenRequest request;
  request.set_token(std::string(size, 'x'));
  spire::api::types::JoinToken response;
  grpc::Status status = stub->CreateJoinToken(&context, request, &response);
  if (status.ok() && response.value() != request.token()) {
    return grpc::Status(grpc::StatusCode::DATA_LOSS, "echo differs");
  }
  return status;
}

// The status of a call that hangs until its deadline or the end of its connection.
inline grpc::Status Hang(const std::shared_ptr<grpc::Channel>& channel, int deadline_millis) {
  auto stub = spire::api::server::agent::v1::Agent::NewStub(channel);
  grpc::ClientContext context;
  context.set_deadline(gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                                    gpr_time_from_millis(deadline_millis, GPR_TIMESPAN)));
  spire::api::server::agent::v1::CountAgentsResponse response;
  return stub->CountAgents(&context, {}, &response);
}

inline Fd ConnectUnix(const std::string& path) {
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  return fd;
}

// Blocks until the other side has closed; what came before is thrown away.
inline void AwaitClosed(int fd) {
  char bytes[4096];
  while (recv(fd, bytes, sizeof bytes, 0) > 0) continue;
}

// Blocks until the server has noticed that every client has gone.
inline void AwaitNoConnection(const GrpcServer& server) {
  while (server.ConnectionCount() != 0) poll(nullptr, 0, 1);
}

}  // namespace writ
