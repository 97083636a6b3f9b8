// SPDX-License-Identifier: Apache-2.0
//
// HealthService: grpc.health.v1 (Check, List, Watch) over one question: is this daemon ready?
// gRPC's own service lacks List. Every service that is named has the daemon's state, as has "".
//
// Trust: callers are hostile; watchers are counted. Threads: thread-safe; `ready` is asked on
// gRPC's threads and must not block. Lifetime: outlives the GrpcServers that serve it.
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/status.h"

namespace writ {

inline constexpr size_t kHealthWatchersMax = 1000;
// How long a watcher may take to hear of a change.
inline constexpr Duration kHealthLookEvery = std::chrono::seconds(1);

struct HealthOptions {
  std::function<Status()> ready;
  std::vector<std::string> services;  // names beside ""
  Clock* clock;                       // borrowed
};

class HealthService {
 public:
  virtual ~HealthService() = default;
  static std::unique_ptr<HealthService> Make(HealthOptions options);
  virtual grpc::Service* service() = 0;
  // Ends all Watch calls, now and later ones, with Unavailable: before the servers shut down.
  virtual void EndWatches() = 0;
};

}  // namespace writ
