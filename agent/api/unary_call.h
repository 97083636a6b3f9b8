// SPDX-License-Identifier: Apache-2.0
//
// What every call that is no stream shares, and the header that keeps forged requests out.
//
// Lifetime: a call owns itself until gRPC is done with it.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <stop_token>
#include <utility>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/net/grpc_server.h"

namespace writ {

// SPIFFE Workload Endpoint section 3: what keeps forged requests of other programs out.
Status CheckSecurityHeader(const grpc::CallbackServerContext& context);

// What is left until a call's deadline, at most `at_most`: also when the caller names no deadline,
// or one that no clock of ours reaches.
Duration TimeLeft(const gpr_timespec& deadline, Time now, Duration at_most);

// Runs on workers and finishes exactly once, also when the caller has left meanwhile.
class UnaryCall : public grpc::ServerUnaryReactor,
                  public std::enable_shared_from_this<UnaryCall> {
 public:
  void OnCancel() override { left_.request_stop(); }
  void OnDone() override { const auto last = std::move(self_); }

 protected:
  // Stops when the caller no longer waits.
  std::stop_token left() const { return left_.get_token(); }

  template <typename Call, typename... Args>
  static std::shared_ptr<Call> Make(Args&&... args) {
    auto call = std::make_shared<Call>(std::forward<Args>(args)...);
    call->self_ = call;
    return call;
  }
  void End(const Status& status) { Finish(ToGrpc(status)); }

 private:
  std::stop_source left_;
  std::shared_ptr<UnaryCall> self_;  // set before gRPC knows the call, cleared by OnDone
};

class RefusedCall final : public UnaryCall {
 public:
  static grpc::ServerUnaryReactor* Start(const Status& status) {
    const auto call = Make<RefusedCall>();
    call->End(status);
    return call.get();
  }
};

}  // namespace writ
