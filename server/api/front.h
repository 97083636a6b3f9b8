// SPDX-License-Identifier: Apache-2.0
//
// Front: what every call passes, whatever its method: the caller is identified, authorized, waits
// for its turn where its method's row has a rate limit, the method's function runs on a worker (the
// store and the audit log may block, gRPC's threads must not), its audit events become durable, its
// status is mapped and counted. Nowhere else.
//
// Threads: thread-safe. Lifetime: outlives every call of the servers that its services are in.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <functional>
#include <memory>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/thread.h"
#include "core/net/grpc_server.h"
#include "core/net/log_limit.h"
#include "server/api/authorization.h"
#include "server/api/call.h"
#include "server/api/rate_limits.h"
#include "server/api/rpc_metrics.h"
#include "server/audit/audit_log.h"

namespace writ {

struct FrontOptions {
  const Authorization* authorization;  // all borrowed
  RateLimits* limits;
  WorkerPool* workers;
  AuditLog* audit;
  RpcMetrics* metrics;
  Clock* clock;
  Log* log;
};

class Front {
 public:
  explicit Front(const FrontOptions& options) : options_(options), failures_(options.clock) {}

  // The server that the calls come from: known only after it has started. Earlier calls are
  // answered UNAVAILABLE.
  void Attach(const GrpcServer* server) { server_.store(server); }

  using Finish = std::function<void(Status)>;
  // Calls `finish` once, before it returns or later.
  using Work = std::function<void(Call&, Finish finish)>;
  enum class Where {
    kWorker,  // `work` may block
    kHere,    // it never does, and is short: a change of threads would cost more
  };
  // Runs a unary call: `work` after authorization and its turn, in which it counts as `items`; then
  // Finish on the context's own reactor.
  grpc::ServerUnaryReactor* Run(grpc::CallbackServerContext* context, const MethodRow* row,
                                size_t items, Where where, Work work);

  // The same in steps, for streams. Open(), Admit() and Close() run on a worker.
  struct Passage {
    Call call;
    MonoTime begun;
  };
  Passage Begin(const MethodRow* row) const;
  Status Open(const grpc::CallbackServerContext& context, Passage& passage) const;
  // After Open(): `then` gets OK when the call may go on, or why not. Before this returns, or later
  // on a worker.
  void Admit(const grpc::CallbackServerContext& context, const Call& call, size_t items,
             std::function<void(Status)> then) const;
  // Makes the events durable and turns the outcome into what the client gets.
  grpc::Status Close(Passage& passage, Status outcome) const;
  // False when too many calls wait already.
  bool Submit(std::function<void()> task) const {
    return options_.workers->Submit(std::move(task));
  }
  static grpc::Status Overloaded();

 private:
  Result<ApiCaller> Identify(const grpc::CallbackServerContext& context) const;
  MonoTime DeadlineOf(const grpc::CallbackServerContext& context) const;
  void LogOutcome(const Call& call, const Status& outcome) const;

  const FrontOptions options_;
  mutable LogRate failures_;  // any caller can make its calls fail
  std::atomic<const GrpcServer*> server_ = nullptr;
};

// As ToGrpc(), and a reason() as PermissionDeniedDetails in the status details.
grpc::Status ToWire(const Status& status);
// Text that may stand in a protobuf string and in an HTTP/2 header, bounded.
std::string WireMessage(const Status& status);

}  // namespace writ
