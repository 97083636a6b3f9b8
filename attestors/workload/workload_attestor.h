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
  // May wait for other programs, disks and networks.
  virtual Result<std::vector<Selector>> Attest(const Caller& caller) = 0;
  // The same answer where it can be had without waiting for anything but the kernel, so that no
  // thread has to be changed for it. Nothing: ask Attest().
  virtual std::optional<Result<std::vector<Selector>>> AttestNow(const Caller&) {
    return std::nullopt;
  }
};

}  // namespace writ
