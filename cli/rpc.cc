// SPDX-License-Identifier: Apache-2.0
#include "cli/rpc.h"

#include <grpc/support/time.h>

#include <string_view>

#include "core/net/grpc_channel.h"

namespace writ {
namespace {

constexpr std::string_view kEndpointVariable = "SPIFFE_ENDPOINT_SOCKET";

std::string WithoutScheme(std::string_view address) {
  for (std::string_view prefix : {"unix://", "unix:"}) {
    if (address.starts_with(prefix)) return std::string(address.substr(prefix.size()));
  }
  return std::string(address);
}

// --socket, else the default; a "unix:" prefix is taken off.
Target TargetAt(const Session& session, const char* otherwise, Callee callee) {
  const std::string path = session.socket.empty() ? otherwise : WithoutScheme(session.socket);
  return {.path = path, .callee = callee, .channel = UnixChannel(path)};
}

// What the socket should be, and where it is by default.
std::string SocketOf(Callee callee) {
  switch (callee) {
    case Callee::kServer:
      return std::string("the server's admin socket (") + kServerAdminSocket + " on its machine)";
    case Callee::kAgent:
      return std::string("the agent's admin socket (") + kAgentAdminSocket + " on its node)";
    case Callee::kWorkloadApi:
      break;
  }
  return std::string("a socket of Writ's agent (") + kWorkloadSocket + ", or for operators " +
         kAgentAdminSocket + ", on its node)";
}

}  // namespace

Result<std::string> WorkloadSocketPath(const Session& session) {
  if (!session.socket.empty()) return WithoutScheme(session.socket);
  auto found = session.environment.find(std::string(kEndpointVariable));
  if (found == session.environment.end() || found->second.empty()) {
    return std::string(kWorkloadSocket);
  }
  // Workload Endpoint section 4: an absolute path and nothing else, no host before it.
  std::string path = WithoutScheme(found->second);
  bool well_formed = found->second.starts_with("unix:") && path.starts_with('/') &&
                     path.find_first_of("?#") == path.npos;
  if (well_formed) return path;
  return InvalidArgument(std::string(kEndpointVariable) + " is '" + found->second +
                         "', but only unix:///path is served; set it to unix://" +
                         kWorkloadSocket + " or give --socket");
}

Status DescribeFailure(const grpc::Status& status, const Target& target) {
  Code code = static_cast<Code>(status.error_code());
  std::string message = status.error_message();
  // gRPC's own words for a socket that nobody answers on; an answer of the daemon keeps its words.
  bool unreachable = code == Code::kUnavailable &&
                     (message.starts_with("failed to connect") || message.empty());
  if (unreachable) {
    message = "no answer on " + target.path + " (" + message +
              "); is the daemon running, may you open the socket, and is --socket right?";
  }
  // A daemon that does not know the call has no more to say.
  if (code == Code::kUnimplemented) {
    message = target.path + " does not answer this question" +
              (message.empty() ? "" : " (" + message + ")") + "; is it " + SocketOf(target.callee) +
              "? Name it with --socket";
  }
  return Status(code, message);
}

Target ServerTarget(const Session& session) {
  return TargetAt(session, kServerAdminSocket, Callee::kServer);
}

Target AgentTarget(const Session& session) {
  return TargetAt(session, kAgentAdminSocket, Callee::kAgent);
}

Result<Target> WorkloadTarget(const Session& session) {
  std::string path = TRY(WorkloadSocketPath(session));
  return Target{.path = path, .callee = Callee::kWorkloadApi, .channel = UnixChannel(path)};
}

void PrepareContext(const Target& target, grpc::ClientContext& context) {
  if (target.callee == Callee::kWorkloadApi) context.AddMetadata("workload.spiffe.io", "true");
}

gpr_timespec CallDeadline() {
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                      gpr_time_from_seconds(kCallSecondsMax.count(), GPR_TIMESPAN));
}

}  // namespace writ
