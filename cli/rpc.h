// SPDX-License-Identifier: Apache-2.0
//
// Calls to a daemon's Unix socket: which socket, the call itself, and an error that says what to
// do.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <string>

#include "cli/cli.h"
#include "core/base/status.h"

namespace writ {

inline constexpr std::chrono::seconds kCallSecondsMax{30};

// The path to call: --socket, else the default; a "unix:" prefix is taken off.
std::string SocketPath(const Session& session, const std::string& otherwise);
// For the Workload API: --socket, else SPIFFE_ENDPOINT_SOCKET, else the default.
Result<std::string> WorkloadSocketPath(const Session& session);
std::shared_ptr<grpc::Channel> ChannelTo(const std::string& path);

// An error of a call, made readable: Unavailable says which socket and what may be wrong.
Status DescribeFailure(const grpc::Status& status, const std::string& path);

struct Target {
  std::string path;
  std::shared_ptr<grpc::Channel> channel;
  bool workload = false;  // adds the Workload API's security header
};
Target ServerTarget(const Session& session);
Result<Target> WorkloadTarget(const Session& session);

void PrepareContext(const Target& target, grpc::ClientContext& context);

// gRPC wants its deadline in wall time; kCallSecondsMax from now.
gpr_timespec CallDeadline();

template <typename Stub, typename Request, typename Response>
Result<Response> Call(const Target& target, Stub& stub,
                      grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                      const Request& request) {
  grpc::ClientContext context;
  PrepareContext(target, context);
  context.set_deadline(CallDeadline());
  Response response;
  grpc::Status status = (stub.*method)(&context, request, &response);
  if (!status.ok()) return DescribeFailure(status, target.path);
  return response;
}

}  // namespace writ
