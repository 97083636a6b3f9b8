// SPDX-License-Identifier: Apache-2.0
//
// RpcMetrics: how many calls each method had, how they ended, and how long they took from their
// acceptance to their answer.
// Threads: thread-safe.
#pragma once

#include <array>
#include <atomic>
#include <map>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/net/metrics.h"
#include "server/api/authorization.h"

namespace writ {

class RpcMetrics {
 public:
  explicit RpcMetrics(Metrics* metrics);
  void Count(const MethodRow& row, Code code, Duration took);

 private:
  static constexpr size_t kCodes = 17;  // gRPC's 0 to 16
  // Made at the first call of its kind, so that /metrics does not list what never happens.
  struct OfMethod {
    std::atomic<Histogram*> latency = nullptr;
    std::array<std::atomic<Counter*>, kCodes> outcomes{};
  };

  Metrics* const metrics_;                          // borrowed
  std::map<const MethodRow*, OfMethod> by_method_;  // its shape is constant after construction
};

}  // namespace writ
