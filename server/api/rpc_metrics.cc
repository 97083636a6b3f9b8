// SPDX-License-Identifier: Apache-2.0
#include "server/api/rpc_metrics.h"

#include <string>
#include <vector>

namespace writ {
namespace {

const std::vector<double>& Bounds() {
  static const std::vector<double> bounds = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                             0.05,   0.1,   0.25,   0.5,   1,    5};
  return bounds;
}

std::map<std::string, std::string> Labels(const MethodRow& row) {
  return {{"service", std::string(row.service())}, {"method", std::string(row.method())}};
}

}  // namespace

RpcMetrics::RpcMetrics(Metrics* metrics) : metrics_(metrics) {
  for (const MethodRow& row : AllMethods()) by_method_.try_emplace(&row);
}

void RpcMetrics::Count(const MethodRow& row, Code code, Duration took) {
  auto found = by_method_.find(&row);
  CHECK(found != by_method_.end());
  OfMethod& method = found->second;
  Histogram* latency = method.latency.load();
  if (latency == nullptr) {
    latency = metrics_->GetHistogram("rpc_duration_seconds",
                                     "Time from a call's acceptance to its answer.", Bounds(),
                                     Labels(row));
    method.latency.store(latency);
  }
  latency->Observe(std::chrono::duration<double>(took).count());
  std::atomic<Counter*>& slot = method.outcomes[static_cast<size_t>(code) % kCodes];
  Counter* counter = slot.load();
  if (counter == nullptr) {
    std::map<std::string, std::string> labels = Labels(row);
    labels["code"] = std::string(CodeName(code));
    counter = metrics_->GetCounter("rpc_total", "Calls by method and outcome.", labels);
    slot.store(counter);
  }
  counter->Add();
}

}  // namespace writ
