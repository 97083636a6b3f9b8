// SPDX-License-Identifier: Apache-2.0
#include "agent/client/grpc_calls.h"

#include "core/net/grpc_server.h"
#include "google/rpc/status.pb.h"
#include "spire/api/types/status.pb.h"

namespace writ {

Status FromServer(const grpc::Status& status) {
  Status ours = FromGrpc(status);
  google::rpc::Status rich;
  if (status.error_details().empty() || !rich.ParseFromString(status.error_details())) return ours;
  for (const auto& detail : rich.details()) {
    spire::api::types::PermissionDeniedDetails denied;
    if (detail.UnpackTo(&denied)) return ours.WithReason(static_cast<int>(denied.reason()));
  }
  return ours;
}

Status GrpcCalls::RunOnce(MonoTime deadline, const Call& call) {
  std::shared_ptr<grpc::Channel> channel = TRY(channel_->Get(), "connect to the server");
  grpc::ClientContext context;
  context.set_deadline(clock_->Now() + (deadline - clock_->Monotonic()));
  std::stop_callback on_stop(stop_, [&context] { context.TryCancel(); });
  if (stop_.stop_requested()) return Cancelled("the agent is stopping");
  Status status = call(channel, context);
  // A connection that has failed is not tried again; a server that answers "unavailable" itself
  // costs one more handshake.
  if (status.code() == Code::kUnavailable) channel_->DropLost(channel);
  return status;
}

Status GrpcCalls::Run(MonoTime deadline, const Call& call) {
  Status status = RunOnce(deadline, call);
  if (status.code() != Code::kUnavailable || stop_.stop_requested() ||
      clock_->Monotonic() >= deadline) {
    return status;
  }
  return RunOnce(deadline, call);
}

}  // namespace writ
