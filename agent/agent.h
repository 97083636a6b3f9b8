// SPDX-License-Identifier: Apache-2.0
//
// Agent: a whole writ-agent, wired: its sockets answer from the first moment, its loop attests and
// keeps everything current, its end is a clean one. There is nothing here but wiring and the order
// of starting and stopping.
//
// Threads: Start() and Run() by the main thread. Lifetime: one per process and data directory.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "agent/config.h"
#include "core/base/log.h"
#include "core/base/process.h"
#include "core/base/status.h"

namespace writ {

class Agent {
 public:
  virtual ~Agent() = default;
  // Takes the data directory's lock and listens. `stop` and `log` are borrowed.
  static Result<std::unique_ptr<Agent>> Start(AgentConfig config, StopSignal* stop, Log* log);

  // Serves until `stop`, then returns OK; a failure says why the agent cannot go on (banned, its
  // token or configuration refused, no way to attest again) and what to do.
  virtual Status Run() = 0;
};

// What `validate` tells without changing anything: warnings, or what would keep the agent from
// starting, by the files and rights that are there. A bundle file that is not there is a warning
// for an agent that keeps a bundle already.
Result<std::vector<std::string>> ValidateAgent(const AgentConfig& config);

}  // namespace writ
