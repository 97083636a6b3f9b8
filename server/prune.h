// SPDX-License-Identifier: Apache-2.0
//
// Pruning: deletes join tokens that expired unused, expired entries, and, where it is configured,
// agents whose SVID ended long ago; a bounded number in each step, so that no step holds the store
// for long.
//
// Threads: Step() by one loop.
#pragma once

#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "server/audit/audit_log.h"
#include "server/store/store.h"

namespace writ {

inline constexpr size_t kPrunedPerStepMax = 500;  // of each kind

class Pruning {
 public:
  struct Needs {
    AgentStore* agents;  // all borrowed
    EntryStore* entries;
    AuditLog* audit;
    Clock* clock;
    Log* log;
    Duration agents_expired_for = Duration::zero();  // zero: agents stay
    bool non_reattestable = false;
  };
  explicit Pruning(const Needs& needs) : needs_(needs) {}

  // The time of the next: soon, when there is more to delete.
  Time Step();

 private:
  // Whether there is more to delete.
  bool PruneAgents(Time now) const;
  bool PruneEntries(Time now) const;
  // Says which, in the log and the audit log. `what`: "agent" or "entry".
  void Record(const std::string& what, const std::vector<std::string>& deleted) const;

  const Needs needs_;
};

}  // namespace writ
