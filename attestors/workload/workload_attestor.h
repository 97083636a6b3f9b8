// SPDX-License-Identifier: Apache-2.0
//
// WorkloadAttestor: turns a calling process into selectors. An error, never a guess: one that fails
// loses its selectors, the caller logs it; when every one failed the workload gets Unavailable.
//
// Trust: the process is hostile, and so is everything that it can write below /proc.
// Threads: thread-safe.
#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/net/peer.h"
#include "core/spiffe/selector.h"

namespace writ {

class WorkloadAttestor {
 public:
  virtual ~WorkloadAttestor() = default;
  virtual std::string name() const = 0;  // "unix": also the selectors' type
  // May wait for other programs, disks and networks, and work for long; an error soon after `left`
  // stops.
  virtual Result<std::vector<Selector>> Attest(const Caller& caller,
                                               const std::stop_token& left) = 0;
  // The same answer where the caller has no part in how long it takes. Nothing: ask Attest().
  virtual std::optional<Result<std::vector<Selector>>> AttestSoon(const Caller&) {
    return std::nullopt;
  }
  // The same answer where it can be had without waiting for anything but the kernel, so that no
  // thread has to be changed for it. Nothing: ask AttestSoon().
  virtual std::optional<Result<std::vector<Selector>>> AttestNow(const Caller&) {
    return std::nullopt;
  }
  // What takes long fails soon from now on.
  virtual void Stop() {}
};

}  // namespace writ
