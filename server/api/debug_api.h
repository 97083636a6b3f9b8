// SPDX-License-Identifier: Apache-2.0
//
// DebugApi: SPIRE's Debug service: what the server presents, how long it runs, how much it holds.
// An answer is good for a few seconds, so that asking often costs nothing.
//
// Threads: thread-safe.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "core/base/clock.h"
#include "core/base/mutex.h"
#include "core/crypto/x509.h"
#include "server/api/call.h"
#include "server/bundle/bundle_holder.h"
#include "server/entry/registry.h"
#include "spire/api/server/debug/v1/debug.pb.h"

namespace writ {

namespace debug_pb = spire::api::server::debug::v1;

inline constexpr Duration kDebugInfoLives = std::chrono::seconds(5);

class DebugApi {
 public:
  struct Needs {
    const Registry* registry;  // all borrowed
    const BundleHolder* bundle;
    Clock* clock;
    std::function<std::vector<Certificate>()> own_chain;  // of the server's own SVID
  };
  // The server's uptime counts from now.
  explicit DebugApi(Needs needs) : needs_(std::move(needs)), begun_(needs_.clock->Monotonic()) {}

  Result<debug_pb::GetInfoResponse> GetInfo(Call& call, const debug_pb::GetInfoRequest& request)
      EXCLUDES(mu_);

 private:
  Result<debug_pb::GetInfoResponse> Collect(MonoTime now) const;

  const Needs needs_;
  const MonoTime begun_;
  Mutex mu_;
  std::optional<debug_pb::GetInfoResponse> last_ GUARDED_BY(mu_);
  MonoTime collected_at_ GUARDED_BY(mu_);
};

}  // namespace writ
