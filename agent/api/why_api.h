// SPDX-License-Identifier: Apache-2.0
//
// WhyApi: why a process of this node has the identities that it has, or none. On the admin socket
// about any process; on the workload socket about the caller alone: no entry that is not its own is
// named there, nor the agent, nor what keeps it from the server.
//
// Trust: callers of the workload socket are hostile. No work of theirs runs on gRPC's threads; what
// waits is bounded, and their rate is limited as on the Workload API.
// Threads: thread-safe. Lifetime: outlives the GrpcServer that serves it.
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <optional>

#include "agent/api/refusals.h"
#include "agent/cache/cache.h"
#include "agent/workload/workload_attestation.h"
#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/crypto/x509.h"
#include "core/net/grpc_server.h"

namespace writ {

inline constexpr size_t kExplanationsWaitingMax = 64;

struct WhyApiOptions {
  enum class Scope { kEveryProcess, kCallerAlone };
  Scope scope;
  int64_t calls_per_second = 0;  // of the callers of the workload socket; 0: no limit
  // The agent itself, asked at each call.
  std::function<Status()> ready;
  std::function<std::optional<Certificate>()> own_certificate;
  // All borrowed.
  Cache* cache;
  const WorkloadAttestation* attestation;
  const Refusals* refusals;
  Clock* clock;
};

class WhyApi {
 public:
  virtual ~WhyApi() = default;
  static std::unique_ptr<WhyApi> Make(WhyApiOptions options);

  virtual grpc::Service* service() = 0;
  // Where calls come from: asked who is calling. Calls before that are answered Unavailable.
  virtual void ServeOn(const GrpcServer* server) = 0;
};

}  // namespace writ
