// SPDX-License-Identifier: Apache-2.0
//
// Attesters: the threads on which the callers of the Workload API are attested where that may wait,
// and on which calls go on that work for long.
//
// Two lanes, so that who needs little does not wait for those who need much: in the brief one a
// caller is attested if it has no part in how long that takes (its program's digest is known); who
// cannot be goes over to the long one. In each a user has a part of the threads at most, users have
// turns, and within a user its processes (AttesterLane). How many may wait is bounded, in all, of a
// user and of a process (FairPlaces).
//
// Trust: callers are hostile.
// Threads: thread-safe; answers are given without the lock.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <vector>

#include "agent/api/attester_lane.h"
#include "agent/workload/workload_attestation.h"
#include "core/base/fair_places.h"
#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/base/thread.h"
#include "core/net/peer.h"
#include "core/spiffe/selector.h"

namespace writ {

inline constexpr size_t kBriefAttestersCount = 4;
inline constexpr size_t kBriefAttestersOfUserMax = 3;
inline constexpr size_t kLongAttestersCount = 2;
inline constexpr size_t kLongAttestersOfUserMax = 1;
inline constexpr size_t kAttestationsWaitingMax = 65'536;

class Attesters {
 public:
  // What was found of the caller, and what failed.
  using Answer =
      std::function<void(const Result<Selectors>&, const std::vector<AttestorFailure>&)>;
  enum class Where {
    kAnywhere,     // the answer may be given on the calling thread, before Attest() returns
    kOnAttesters,  // it works for long: on an attester, unless it is an error
  };

  explicit Attesters(const WorkloadAttestation* attestation);  // borrowed
  ~Attesters();  // each caller has its answer before

  // `answer` is called once; with Cancelled at some time when `left` stops.
  void Attest(std::shared_ptr<const Caller> caller, std::stop_token left, Where where,
              Answer answer) EXCLUDES(mu_);
  // Answers all who wait for a thread, and all who would wait from now on, with `status`.
  void Stop(const Status& status) EXCLUDES(mu_);

 private:
  struct Task {
    std::shared_ptr<const Caller> caller;
    std::stop_token left;
    Answer answer;
  };
  using Lane = AttesterLane<std::shared_ptr<const Task>>;

  Status Enter(const std::shared_ptr<const Task>& task) EXCLUDES(mu_);
  void StartTasks() REQUIRES(mu_);
  void RunBrief(const std::shared_ptr<const Task>& task) EXCLUDES(mu_);
  void RunLong(const Task& task) EXCLUDES(mu_);
  void GoOver(const std::shared_ptr<const Task>& task) EXCLUDES(mu_);
  void Finish(Lane& lane, const Task& task) REQUIRES(mu_);

  const WorkloadAttestation* const attestation_;
  Mutex mu_;
  Status stopped_ GUARDED_BY(mu_);  // OK until Stop()
  FairPlaces places_ GUARDED_BY(mu_);
  Lane brief_ GUARDED_BY(mu_);
  Lane long_ GUARDED_BY(mu_);
  WorkerPool pool_;  // its own lock; the last member: its work uses the others
};

}  // namespace writ
