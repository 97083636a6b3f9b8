// SPDX-License-Identifier: Apache-2.0
//
// What a daemon does with its own process: signals as something to wait for, what the service
// manager is told, no core dumps, and a heap that shrinks again.
#pragma once

#include <chrono>
#include <string_view>

#include "core/base/file.h"
#include "core/base/status.h"

namespace writ {

// Made before the first thread: blocks SIGTERM, SIGINT and SIGHUP in the calling thread and in all
// that it starts, and SIGPIPE and SIGXFSZ: a peer that is gone and a file that may not grow are
// errors of the call that meets them. Threads: Stop() by any, the waits by one.
class StopSignal {
 public:
  StopSignal();
  // Returns at SIGTERM, SIGINT or Stop(); at once when one came before.
  void Wait();
  // The same, and true at SIGHUP: something is to be read or opened anew, then to be waited again.
  bool WaitForReload();
  void Stop();

 private:
  Fd signals_;  // a signalfd; constant after construction
  Fd hangups_;  // a signalfd of SIGHUP alone; constant after construction
  Fd stopped_;  // an eventfd; constant after construction
};

// Tells the service manager (systemd) "READY=1" or the like, when there is one. A manager that does
// not read holds us for `patience` at most: Unavailable then.
Status NotifyServiceManager(std::string_view state, std::chrono::milliseconds patience);

// Neither the kernel nor another process of this user may read our memory: it holds private keys.
Status ForbidCoreDumps();

// A heap for a few threads each, not for every one: what one thread freed, another may use. For
// main(), before the first thread.
void LimitHeaps();
// Gives memory that is free back to the system when there is much of it: after a peak.
void ReturnFreeMemory();
// Takes the pages of the program and its libraries that nobody can write out of this process's
// memory: most of what a start needs is not used again. What is comes back from the file, some
// microseconds late. For main(), once it is ready.
void ReturnStartUpPages();

}  // namespace writ
