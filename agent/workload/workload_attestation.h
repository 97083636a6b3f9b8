// SPDX-License-Identifier: Apache-2.0
//
// WorkloadAttestation: asks every attestor about a caller, at the same process from start to end.
// A failing attestor loses its selectors and is logged; when every one failed: Unavailable with
// their reasons, which are about the caller's own process. A caller that is gone (or replaced) by
// the end: Unavailable as well, nothing is handed out.
//
// Trust: callers can make attestors fail as often as they like; the log gets some of it.
// Threads: thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "attestors/workload/workload_attestor.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/status.h"
#include "core/net/log_limit.h"
#include "core/net/peer.h"
#include "core/spiffe/selector.h"

namespace writ {

struct AttestorFailure {
  std::string attestor;
  Status status;
};

class WorkloadAttestation {
 public:
  // Clock and log are borrowed.
  WorkloadAttestation(std::vector<std::unique_ptr<WorkloadAttestor>> attestors, Clock* clock,
                      Log* log);
  // `failures`: gets the attestors that failed, also when the whole does. Cancelled soon after
  // `left` stops.
  Result<Selectors> Attest(const Caller& caller, std::vector<AttestorFailure>* failures = nullptr,
                           const std::stop_token& left = {}) const;
  // The same where every attestor can answer so (WorkloadAttestor::AttestSoon, AttestNow).
  std::optional<Result<Selectors>> AttestSoon(const Caller& caller,
                                              std::vector<AttestorFailure>* failures) const;
  std::optional<Result<Selectors>> AttestNow(const Caller& caller,
                                             std::vector<AttestorFailure>* failures) const;
  void Stop();  // what takes long fails soon from now on
  struct Counts {
    uint64_t done = 0;    // callers that were identified
    uint64_t failed = 0;  // callers that were not
  };
  Counts counts() const { return {done_, failed_}; }
  // In the order in which they are asked.
  std::vector<std::string> AttestorNames() const;

 private:
  using Answers = std::vector<Result<std::vector<Selector>>>;  // one of each attestor, in order

  using Way = std::optional<Result<std::vector<Selector>>> (WorkloadAttestor::*)(const Caller&);

  std::optional<Result<Selectors>> AttestBy(Way way, const Caller& caller,
                                            std::vector<AttestorFailure>* failures) const;
  Result<Selectors> Conclude(const Caller& caller, const Answers& answers,
                             std::vector<AttestorFailure>* failures) const;
  Result<Selectors> Join(const Caller& caller, const Answers& answers,
                         std::vector<AttestorFailure>* failures) const;
  void LogFailure(const Caller& caller, const AttestorFailure& failure) const;

  const std::vector<std::unique_ptr<WorkloadAttestor>> attestors_;
  Log* const log_;
  mutable LogRate lines_;  // of failures; its own lock
  mutable std::atomic<uint64_t> done_ = 0;
  mutable std::atomic<uint64_t> failed_ = 0;
};

}  // namespace writ
