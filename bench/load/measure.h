// SPDX-License-Identifier: Apache-2.0
//
// Measure: repeats an operation in several threads and tells what it cost the daemons, in CPU time
// of their processes: the figure that a busy machine changes least.
//
// Threads: one Measure() at a time.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/base/json.h"
#include "core/base/status.h"

namespace writ {

struct Watched {
  std::string name;  // "server", "agent"
  pid_t pid;
};

// CPU time that a process has spent, in nanoseconds; of all its threads, ended ones too.
Result<int64_t> ProcessCpu(pid_t pid);
// What of a process stands in memory, in bytes.
Result<int64_t> ProcessResident(pid_t pid);

struct Load {
  size_t count = 0;     // operations in all
  size_t parallel = 1;  // threads that share them
  std::vector<Watched> watched;
};

// `operation` gets 0, 1, 2 ... and may run in several threads at once. The first failure ends it.
// The answer, each figure for one operation:
// {"operations": n, "wall_us": ..., "cpu_us": {"server": ..., "agent": ...}}.
Result<Json> Measure(const Load& load, const std::function<Status(size_t)>& operation);

}  // namespace writ
