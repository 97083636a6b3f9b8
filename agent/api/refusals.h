// SPDX-License-Identifier: Apache-2.0
//
// Refusals: the last refusals of the Workload API ("no identity issued", "no attestor could
// identify"), each under an ID that the caller's error carries, and the log line of the former, so
// that `writ why --id` finds what was known then.
//
// A process that is refused again and again, with the same selectors, has one refusal.
//
// Trust: callers choose how often they are refused and, in part, their selectors; what is kept is
// bounded in number and in bytes.
// Threads: thread-safe.
#pragma once

#include <sys/types.h>

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/workload/workload_attestation.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mutex.h"
#include "core/base/random.h"
#include "core/net/log_limit.h"
#include "core/net/peer.h"
#include "core/spiffe/selector.h"

namespace writ {

inline constexpr size_t kRefusalsMax = 256;
inline constexpr size_t kRefusalsBytesMax = 4 << 20;  // of all together, but the newest is kept

struct Refusal {
  std::string id;
  Time at;  // the last time
  std::string method;
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
  Selectors selectors;
  std::vector<AttestorFailure> failures;
};

class Refusals {
 public:
  // Both borrowed.
  Refusals(Clock* clock, Random* random) : clock_(clock), random_(random), lines_(clock) {}

  // Keeps the refusal of one that no entry matches and returns its ID; the oldest make room.
  std::string Add(std::string_view method, const Caller& caller, const Selectors& selectors,
                  const std::vector<AttestorFailure>& failures) EXCLUDES(mu_);
  // The same for one that no attestor could identify; not among the count().
  std::string AddUnidentified(std::string_view method, const Caller& caller,
                              const std::vector<AttestorFailure>& failures) EXCLUDES(mu_) {
    return Keep(method, caller, Selectors(), failures);
  }
  std::optional<Refusal> Find(std::string_view id) const EXCLUDES(mu_);
  uint64_t count() const EXCLUDES(mu_);  // of all ever that no entry matched
  // Whether the log gets a line of this one, and how many before it got none: any local process can
  // cause them.
  std::optional<size_t> LogTurn() { return lines_.Take(); }

 private:
  std::string Keep(std::string_view method, const Caller& caller, const Selectors& selectors,
                   const std::vector<AttestorFailure>& failures) EXCLUDES(mu_);

  Clock* const clock_;    // constant after construction
  Random* const random_;  // likewise
  LogRate lines_;         // its own lock
  mutable Mutex mu_;
  std::deque<Refusal> kept_ GUARDED_BY(mu_);  // the oldest first
  size_t bytes_ GUARDED_BY(mu_) = 0;          // of all that are kept
  uint64_t count_ GUARDED_BY(mu_) = 0;
};

}  // namespace writ
