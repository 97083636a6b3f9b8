// SPDX-License-Identifier: Apache-2.0
//
// KeepGrpcRunning: gRPC shuts itself down when the last of its objects goes, and then may wait ten
// seconds for a poller of its own; a daemon must stop in two, a command at once. One reference that
// is never given back keeps it running until the process ends.
//
// Threads: thread-safe.
#pragma once

#include <absl/synchronization/mutex.h>
#include <grpc/grpc.h>

namespace writ {

inline void KeepGrpcRunning() {
  static const bool kStarted = [] {
    absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
    grpc_init();
    return true;
  }();
  (void)kStarted;
}

}  // namespace writ
