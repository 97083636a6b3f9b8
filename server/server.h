// SPDX-License-Identifier: Apache-2.0
//
// Server: a whole writ-server, wired: its state, its services on TCP and on the admin socket, HTTP
// for probes, the loops that keep it current, and its clean end. There is nothing here but wiring
// and the order of starting and stopping.
//
// Threads: Start() and Stop() by the main thread. Lifetime: one per process and data directory.
#pragma once

#include <memory>

#include "core/base/status.h"
#include "server/config.h"
#include "server/state.h"

namespace writ {

class Server {
 public:
  virtual ~Server() = default;
  // Listening and ready when it returns.
  static Result<std::unique_ptr<Server>> Start(const ServerConfig& config, const ServerKit& kit);

  // The TCP port that it got (for address ":0").
  virtual int TcpPort() const = 0;
  // Opens the audit log's file anew, after it was moved away.
  virtual void Reload() = 0;
  // No new calls; running ones get a moment; the store is closed cleanly. Once.
  virtual void Stop() = 0;
};

}  // namespace writ
