// SPDX-License-Identifier: Apache-2.0
//
// ClientLimits: what one client (a local user, a remote address) may take of a server: a share of
// its connections and of the calls that are open, and a number of abandoned calls (http2_calls.h)
// over time. The totals of connections and calls are limited too.
//
// Trust: clients are hostile. Threads: thread-safe. Lifetime: longer than its Places.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <unordered_map>

#include "core/base/clock.h"
#include "core/base/mutex.h"

namespace writ {

class ClientLimits {
 public:
  // A client may have so many connections for each place that is still free: one alone gets three
  // quarters of all, a second one three quarters of the rest, and there is always room for another.
  // Likewise with calls.
  static constexpr size_t kClientPerFree = 3;
  // Open calls: a workload's own connection has two or three, one that many share up to 1,000.
  static constexpr size_t kCallsPerConnection = 2;
  static constexpr size_t kCallsMin = 4000;
  // Calls that a client may abandon at once, and for each second again. A connection may have 1,000
  // calls open, and all of them may be cancelled by one decision of an honest program.
  static constexpr double kAbandonedMax = 2000;
  static constexpr double kAbandonedPerSecond = 500;

  // One open connection. Whoever owns the connection holds it.
  class Place {
   public:
    explicit Place(ClientLimits* limits) : limits_(limits) {}
    ~Place() { limits_->Leave(*this); }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    // Whose connection it is, once. False when that client has its share of connections already.
    bool Claim(const std::string& client) { return limits_->Claim(*this, client); }
    // Charges the client; false when it is over its budget.
    bool Abandon(size_t calls) { return limits_->Abandon(*this, calls); }
    // How many calls the connection has open now; false when its client has its share already.
    // One thread at a time.
    bool HoldCalls(size_t calls) { return calls == calls_ || limits_->HoldCalls(*this, calls); }

   private:
    friend class ClientLimits;
    ClientLimits* const limits_;
    std::string client_;  // constant after Claim(); empty: nobody's
    size_t calls_ = 0;
  };

  ClientLimits(size_t connections_max, Clock* clock)
      : connections_max_(connections_max),
        calls_max_(std::max(kCallsMin, kCallsPerConnection * connections_max)),
        clock_(clock) {}

  // Null when the total is reached.
  std::shared_ptr<Place> Enter() EXCLUDES(mu_);
  size_t Open() const EXCLUDES(mu_);
  size_t connections_max() const { return connections_max_; }

 private:
  struct Client {
    size_t open = 0;
    size_t calls = 0;
    double abandoned = 0;  // at `since`; falls with time
    MonoTime since{};
  };

  bool Claim(Place& place, const std::string& name) EXCLUDES(mu_);
  bool Abandon(const Place& place, size_t calls) EXCLUDES(mu_);
  bool HoldCalls(Place& place, size_t calls) EXCLUDES(mu_);
  void Leave(const Place& place) EXCLUDES(mu_);
  double AbandonedNow(const Client& client, MonoTime now) const;
  void ForgetTheIdle(MonoTime now) REQUIRES(mu_);

  const size_t connections_max_;
  const size_t calls_max_;
  Clock* const clock_;
  mutable Mutex mu_;
  size_t open_ GUARDED_BY(mu_) = 0;
  size_t calls_ GUARDED_BY(mu_) = 0;
  std::unordered_map<std::string, Client> clients_ GUARDED_BY(mu_);
  size_t sweep_at_ GUARDED_BY(mu_) = 64;  // clients
};

// How many connections of one server the process's limit of open files allows: each takes four
// descriptors (its socket, both ends of the pair to gRPC, a pidfd), and a part is kept for the rest
// of the process.
size_t ConnectionsAllowedByDescriptors(size_t descriptors);

}  // namespace writ
