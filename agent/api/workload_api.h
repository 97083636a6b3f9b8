// SPDX-License-Identifier: Apache-2.0
//
// WorkloadApi: the SPIFFE Workload API (the X.509-SVID and JWT-SVID profiles; the WIT-SVID profile
// answers Unimplemented, as the standard lets it). A caller is known by its connection alone; what
// it may have is what the cache holds for the selectors that its attestation found.
//
// Implements SPIFFE Workload API sections 4 to 6 and SPIFFE Workload Endpoint sections 3, 5 and 6.
//
// Trust: callers are hostile. What may wait for anything but memory and the kernel does not run on
// gRPC's threads; what waits is bounded, and users have turns.
// Threads: thread-safe. Lifetime: outlives the GrpcServer that serves it; EndStreams() before that
// server shuts down.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>

#include "agent/api/refusals.h"
#include "agent/cache/cache.h"
#include "agent/svid/jwt_source.h"
#include "agent/workload/workload_attestation.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/random.h"
#include "core/net/grpc_server.h"
#include "core/spiffe/id.h"

namespace writ {

inline constexpr Duration kJwtFetchMax = std::chrono::seconds(30);
inline constexpr size_t kAudiencesMax = 100;
inline constexpr size_t kAudienceBytesMax = 16 << 10;  // of all together

struct WorkloadApiOptions {
  TrustDomain trust_domain;
  int64_t calls_per_second = 0;  // of each method and set of selectors; 0: no limit
  bool bundles_for_all = false;  // streams of bundles also for callers without an identity
  // How long an open stream that had identities waits for another when its last has gone.
  Duration swap_grace = Duration::zero();
  // All borrowed.
  Cache* cache;
  JwtSource* jwt;
  const WorkloadAttestation* attestation;
  Refusals* refusals;
  Clock* clock;
  Random* random;
  Log* log;
};

class WorkloadApi {
 public:
  virtual ~WorkloadApi() = default;
  static std::unique_ptr<WorkloadApi> Make(WorkloadApiOptions options);

  virtual grpc::Service* service() = 0;
  // Where calls come from: asked who is calling. Calls before that are answered Unavailable.
  virtual void ServeOn(const GrpcServer* server) = 0;
  virtual size_t OpenStreamCount() const = 0;
  // Ends all streams and the calls that wait for a thread or the server, now and later ones, with
  // Unavailable: their clients try again.
  virtual void EndStreams() = 0;
};

}  // namespace writ
