// SPDX-License-Identifier: Apache-2.0
//
// JwtFetcher: JWT-SVIDs for callers that wait, also while the server is away. What fails for a
// passing reason (Unavailable, ResourceExhausted) is tried again after pauses that grow, until the
// caller's deadline; any other failure is the answer at once, and so is a token that is valid
// still (JwtSource). Callers that want the same token share its attempts.
//
// A caller that waits holds no thread: kJwtFetchersCount threads make the calls, one more watches
// the time. How many may wait is bounded, in all, of a user and of a process (FairPlaces), and one
// too many is told so at once. Attempts that wait for a thread have turns by user and process
// (FairLine), so that one who asks for thousands of tokens delays others by little.
//
// Threads: thread-safe; Fetch never blocks. Answers are given on the fetcher's threads, without its
// lock, and must not block. Lifetime: each caller has its answer before the fetcher is gone.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "agent/svid/jwt_source.h"
#include "core/base/clock.h"
#include "core/base/fair_line.h"
#include "core/base/fair_places.h"
#include "core/base/mutex.h"
#include "core/base/random.h"
#include "core/base/status.h"
#include "core/base/thread.h"

namespace writ {

inline constexpr size_t kJwtFetchersCount = 8;
inline constexpr size_t kJwtCallersWaitingMax = 1024;
inline constexpr Duration kJwtRetryPauseMin = std::chrono::seconds(1);
inline constexpr Duration kJwtRetryPauseMax = std::chrono::seconds(5);

struct JwtFetcherOptions {
  JwtSource* source;  // borrowed, as are the next two
  Clock* clock;
  Random* random;
  size_t waiting_max = kJwtCallersWaitingMax;
};

// Who asks, and how long it wants to wait.
struct JwtCaller {
  uid_t uid;
  pid_t pid;
  MonoTime deadline;
  std::stop_token left;  // stops when the caller no longer wants it; its answer is then Cancelled
};

class JwtFetcher {
 public:
  using Answer = std::function<void(Result<HeldJwt>)>;

  explicit JwtFetcher(const JwtFetcherOptions& options);
  ~JwtFetcher();

  // What is known at once; else nothing, and `answer` is called once, maybe before this returns.
  std::optional<Result<HeldJwt>> Fetch(std::shared_ptr<const Entry> entry,
                                       std::vector<std::string> audience, JwtCaller caller,
                                       Answer answer) EXCLUDES(mu_);
  // Answers all who wait, and all who would wait from now on, with `status`.
  void Stop(const Status& status) EXCLUDES(mu_);

 private:
  struct Key {
    std::string entry_id;
    int64_t revision;
    int64_t created_at;
    std::vector<std::string> audience;
    uint64_t caller;  // of a token that is for one caller alone; else 0
    auto operator<=>(const Key&) const = default;
  };
  struct Waiter {
    Waiter(JwtCaller who, bool holds, Answer to, Wake* wake)
        : caller(std::move(who)),
          holds_valid(holds),
          answer(std::move(to)),
          on_left(caller.left, [wake] { wake->Notify(); }) {}

    const JwtCaller caller;
    const bool holds_valid;  // there was a valid token when it came
    Answer answer;
    std::stop_callback<std::function<void()>> on_left;  // takes no lock but the wake's own
  };
  enum class State { kPausing, kInLine, kRunning };
  // One token's attempts, and those who wait for it.
  struct Flight {
    std::shared_ptr<const Entry> entry;
    std::vector<std::string> audience;
    std::list<Waiter> waiters;
    State state = State::kPausing;  // kRunning: its attempt alone removes the flight
    uid_t uid = 0;                  // whose turn it is in line for
    pid_t pid = 0;                  // likewise
    MonoTime attempt_ends;          // the latest that its attempt may take
    Status failure;                 // of the last attempt; OK before the first has ended
    MonoTime failed_at;
    MonoTime due;  // the next attempt, while pausing
    Duration pause = kJwtRetryPauseMin;
  };
  using Flights = std::map<Key, Flight>;
  using Answers = std::vector<std::pair<Answer, Result<HeldJwt>>>;

  void Join(Flight& flight, JwtCaller caller, bool holds_valid, Answer answer) REQUIRES(mu_);
  void EnterLine(Flights::iterator at) REQUIRES(mu_);
  void StartAttempts() REQUIRES(mu_);
  void Attempt(Flights::iterator at) EXCLUDES(mu_);
  void PutOff(Flight& flight, const Status& failure, MonoTime now) REQUIRES(mu_);
  bool Passing(const Flight& flight, const Status& status, MonoTime now) const REQUIRES(mu_);
  void AnswerAll(Flight& flight, const Result<HeldJwt>& result, Answers& answers) REQUIRES(mu_);
  void EndWaits(Flight& flight, MonoTime now, Answers& answers) REQUIRES(mu_);
  Result<HeldJwt> AtDeadline(const Flight& flight, const Waiter& waiter) const REQUIRES(mu_);
  MonoTime Look(Answers& answers) EXCLUDES(mu_);
  void Watch(const std::stop_token& stop) EXCLUDES(mu_);

  const JwtFetcherOptions options_;
  Wake wake_;  // its own lock
  mutable Mutex mu_;
  Status stopped_ GUARDED_BY(mu_);  // OK until Stop()
  uint64_t last_caller_ GUARDED_BY(mu_) = 0;
  FairPlaces places_ GUARDED_BY(mu_);
  size_t attempts_count_ GUARDED_BY(mu_) = 0;  // that have a thread, or are about to
  MonoTime next_look_ GUARDED_BY(mu_) = MonoTime::max();
  Flights flights_ GUARDED_BY(mu_);
  FairLine<Flights::iterator> line_ GUARDED_BY(mu_);  // of those in the state kInLine
  WorkerPool callers_;  // its own lock
  Thread watch_;        // constant after construction
};

}  // namespace writ
