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

// For the Workload API: --socket, else SPIFFE_ENDPOINT_SOCKET, else the default.
Result<std::string> WorkloadSocketPath(const Session& session);
// Whose socket a command calls.
enum class Callee { kServer, kAgent, kWorkloadApi };

struct Target {
  std::string path;
  Callee callee;
  std::shared_ptr<grpc::Channel> channel;
};
Target ServerTarget(const Session& session);
Target AgentTarget(const Session& session);
Result<Target> WorkloadTarget(const Session& session);

// An error of a call, made readable: it says which socket and what may be wrong.
Status DescribeFailure(const grpc::Status& status, const Target& target);

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
  if (!status.ok()) return DescribeFailure(status, target);
  return response;
}

}  // namespace writ
