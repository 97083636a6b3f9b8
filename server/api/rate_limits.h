// SPDX-License-Identifier: Apache-2.0
//
// RateLimits: how many calls of a class (authorization.h) one remote address may make in a second,
// with a burst of one second. A call above it waits for its turn, in order, holding no thread; it
// is refused only when its turn cannot come: more at once than the burst, or later than its
// deadline.
//
// A bucket is one moment, the one at which it is full again; a full one says nothing and is
// dropped, so the table holds the addresses of the last second.
//
// Trust: callers are hostile: addresses, calls that wait and calls that wait of one address are
// bounded; one that has left takes no turn. Threads: thread-safe; `then` runs on a thread of this
// object. Lifetime: Stop() before the calls' servers go.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/base/thread.h"
#include "server/api/authorization.h"

namespace writ {

inline constexpr int64_t kRatePerSecondMax = 1'000'000;
inline constexpr int64_t kPublishesPerSecond = 500;
inline constexpr int64_t kPostStatusPerSecond = 10;
inline constexpr size_t kRateWaitersMax = 10'000;
inline constexpr size_t kRateWaitersPerAddressMax = 1'000;
// More than may wait, so that one that waits is never the one to forget.
inline constexpr size_t kRateAddressesMax = 20'000;

// Per second and address; 0 is off.
struct RateLimitSettings {
  int64_t attestation = 1;
  int64_t signing = 500;  // X.509, JWT and WIT, each for itself
};

class RateLimits {
 public:
  RateLimits(const RateLimitSettings& settings, Clock* clock);
  ~RateLimits();
  RateLimits(const RateLimits&) = delete;
  RateLimits& operator=(const RateLimits&) = delete;

  struct Ask {
    RateClass rate;
    std::string address;
    size_t count = 1;
    MonoTime deadline = MonoTime::max();
    std::function<bool()> gone;  // the caller has left; must not block
  };
  // The answer, when it is clear at once: OK, or why not (ResourceExhausted). Else none, and `then`
  // is called once: with OK when the turn has come, Cancelled, or Unavailable at the stop.
  std::optional<Status> Take(Ask ask, std::function<void(Status)> then) EXCLUDES(mu_);

  // Ends every wait, now and later.
  void Stop() EXCLUDES(mu_);

  // Addresses remembered.
  size_t Size() const EXCLUDES(mu_);

 private:
  static constexpr size_t kClasses = static_cast<size_t>(RateClass::kPostStatus) + 1;

  struct Waiter {
    Duration cost;
    std::function<bool()> gone;
    std::function<void(Status)> then;
  };
  struct Bucket {
    std::string key;
    MonoTime full_at;
    Duration queued{};  // the costs of all that wait
    std::deque<Waiter> waiters;
    std::list<Bucket*>::iterator idle;  // in idle_, while nobody waits
  };
  using Answers = std::vector<std::pair<std::function<void(Status)>, Status>>;

  void Run(std::stop_token stop);
  MonoTime Serve(Answers* answers) EXCLUDES(mu_);
  void ServeBucket(Bucket* bucket, MonoTime now, Answers* answers) REQUIRES(mu_);
  Bucket* Find(std::string key, MonoTime now) REQUIRES(mu_);
  void Forget(MonoTime now) REQUIRES(mu_);
  void Sweep(Bucket* bucket, Answers* answers) REQUIRES(mu_);
  Status Enqueue(Bucket* bucket, Waiter waiter, MonoTime turn, Answers* answers) REQUIRES(mu_);

  const std::array<int64_t, kClasses> per_second_;  // 0: off
  Clock* const clock_;                              // borrowed

  mutable Mutex mu_;
  bool stopped_ GUARDED_BY(mu_) = false;
  std::unordered_map<std::string, std::unique_ptr<Bucket>> buckets_ GUARDED_BY(mu_);
  std::list<Bucket*> idle_ GUARDED_BY(mu_);                     // nobody waits; used last is first
  std::set<std::pair<MonoTime, Bucket*>> due_ GUARDED_BY(mu_);  // somebody waits; the first's turn
  size_t waiting_ GUARDED_BY(mu_) = 0;

  Wake wake_;
  Thread thread_;  // last: it uses all of the above
};

}  // namespace writ
