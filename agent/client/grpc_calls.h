// SPDX-License-Identifier: Apache-2.0
//
// GrpcCalls: one connection to the server and the way that every call over it goes: deadline, end
// by stop request, gRPC's status made ours with the server's reason for a denial.
//
// Threads: thread-safe.
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <stop_token>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/net/grpc_channel.h"

namespace writ {

inline constexpr Duration kCallTimeout = std::chrono::seconds(30);

// Our Status of the server's, with the reason of PermissionDeniedDetails when there are any.
Status FromServer(const grpc::Status& status);

class GrpcCalls {
 public:
  GrpcCalls(std::unique_ptr<TlsChannel> channel, Clock* clock, std::stop_token stop)
      : channel_(std::move(channel)), clock_(clock), stop_(std::move(stop)) {}

  using Call = std::function<Status(const std::shared_ptr<grpc::Channel>&, grpc::ClientContext&)>;

  // Makes the call; when the connection turns out to be lost, once more over a new one.
  Status Run(MonoTime deadline, const Call& call);
  Status Run(const Call& call) { return Run(clock_->Monotonic() + kCallTimeout, call); }
  // For what must not be sent twice.
  Status RunOnce(MonoTime deadline, const Call& call);

  void Drop() { channel_->Drop(); }

 private:
  // All constant after construction.
  const std::unique_ptr<TlsChannel> channel_;
  Clock* const clock_;
  const std::stop_token stop_;
};

}  // namespace writ
