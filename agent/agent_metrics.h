// SPDX-License-Identifier: Apache-2.0
//
// AgentMetrics: what the agent tells of itself in numbers, read at each scrape from the parts that
// count.
//
// Threads: thread-safe.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "agent/cache/cache.h"
#include "agent/sync/agent_loop.h"
#include "agent/workload/workload_attestation.h"
#include "core/base/mutex.h"
#include "core/net/metrics.h"

namespace writ {

struct AgentCounts {
  bool synced = false;
  bool following = false;
  size_t streams = 0;
  size_t connections = 0;
  uint64_t refusals = 0;  // of callers that no entry matches
  CacheCounts cache;
  LoopCounts loop;
  WorkloadAttestation::Counts attestations;
};

class AgentMetrics {
 public:
  AgentMetrics();
  std::string Exposition(const AgentCounts& counts) EXCLUDES(mu_);

 private:
  struct Total {
    Counter* counter;
    uint64_t told = 0;
  };
  void Tell(const char* name, const char* help, double value);
  void TellTotal(const std::string& name, const char* help, uint64_t value,
                 const std::map<std::string, std::string>& labels = {}) REQUIRES(mu_);

  const std::unique_ptr<Metrics> metrics_;  // its own lock
  Mutex mu_;
  std::map<std::pair<std::string, std::map<std::string, std::string>>, Total> totals_
      GUARDED_BY(mu_);  // by name and labels
};

}  // namespace writ
