// SPDX-License-Identifier: Apache-2.0
//
// WorkloadAttestation: asks every attestor about a caller, at the same process from start to end.
// A failing attestor loses its selectors and is logged; when every one failed: Unavailable. A
// caller that is gone (or replaced) by the end: Unavailable as well, nothing is handed out.
//
// Threads: thread-safe.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "attestors/workload/workload_attestor.h"
#include "core/base/log.h"
#include "core/base/status.h"
#include "core/net/peer.h"
#include "core/spiffe/selector.h"

namespace writ {

struct AttestorFailure {
  std::string attestor;
  Status status;
};

class WorkloadAttestation {
 public:
  WorkloadAttestation(std::vector<std::unique_ptr<WorkloadAttestor>> attestors, Log* log);
  // `failures`: gets the attestors that failed, also when the whole does.
  Result<Selectors> Attest(const Caller& caller,
                           std::vector<AttestorFailure>* failures = nullptr) const;
  // In the order in which they are asked.
  std::vector<std::string> AttestorNames() const;

 private:
  const std::vector<std::unique_ptr<WorkloadAttestor>> attestors_;
  Log* const log_;
};

}  // namespace writ
