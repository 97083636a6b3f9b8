// SPDX-License-Identifier: Apache-2.0
//
// X509Fetcher: fetches the X.509-SVIDs that the cache wants, in batches, and puts them there. What
// subscribers need goes on a line of its own beside what is due or fetched ahead. A call may wait
// long for its turn at the server; the agent's loop does not wait with it: it begins flights and
// takes in what has landed, so that what the server tells is heard meanwhile.
//
// Keys are made fresh for each SVID and live in memory only.
//
// Threads: used by the agent's loop alone; a flight is on a thread of its own, and `notify` is
// called there.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "agent/cache/cache.h"
#include "agent/client/server_api.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mutex.h"
#include "core/base/random.h"
#include "core/base/status.h"
#include "core/base/thread.h"
#include "core/crypto/key.h"

namespace writ {

struct X509FetcherOptions {
  KeyType svid_key_type;
  Duration retry_after;  // at most so long after a refusal, what was refused is asked for again
  bool in_flight;        // false: each call is waited for, on the loop's thread
  std::function<void()> notify;  // a flight has landed: Advance() has something to do
  // Borrowed.
  ServerApi* server;
  Cache* cache;
  Clock* clock;
  Random* random;
  Log* log;
};

class X509Fetcher {
 public:
  explicit X509Fetcher(X509FetcherOptions options);
  ~X509Fetcher();  // waits for the flights: `stop` and their calls' must have been requested

  // Begins with all that is wanted now: SVIDs that subscribers wait for, those that are due, and
  // those worth having ahead of demand; those that the server refused when it is time to ask again.
  // Fails with what a flight has failed with since the last Renew().
  Status Renew(const std::stop_token& stop);
  // Between two turns: takes in what has landed, goes on, and begins with what subscribers need
  // since. Fails as the next Renew() will.
  Status Advance(const std::stop_token& stop);
  // What was refused for entries that have changed may be granted now.
  void Forget(const EntryChanges& changed);
  uint64_t issued_count() const { return issued_; }     // ever, as is
  uint64_t refused_count() const { return rejected_; }  // answers that were no SVID

 private:
  struct Order;
  struct Flight;
  struct Line {  // of what is to be fetched, in batches, one after the other
    std::deque<X509Want> queue;
    std::shared_ptr<Flight> flight;  // null: none is under way
  };

  void Queue(Line& line, std::vector<X509Want> wants);
  void GoOn(const std::stop_token& stop);
  bool Depart(Line& line, const std::stop_token& stop);
  std::vector<Order> NextOrders(Line& line);
  void Fly(Flight& flight, const std::stop_token& stop) const EXCLUDES(mu_);
  Status Ask(Flight& flight, const std::stop_token& stop) const;
  bool Land(Line& line) EXCLUDES(mu_);
  size_t TakeIn(Flight& flight);
  bool GoesOnInSmallerBatches(size_t asked, const Status& answer);
  bool IsStillWanted(const Order& order) const;
  void Refuse(const Order& order);

  const X509FetcherOptions options_;  // constant after construction
  Line urgent_;
  Line others_;
  std::set<std::string> in_flight_;  // entries, as are
  std::set<std::string> begun_;      // those of the urgent flights since the last Renew()
  std::map<std::string, MonoTime> refused_;  // of the entries, the last answer was a failure: when
                                             // to ask again
  Status failure_;       // of a flight, until Renew() tells it
  size_t batch_max_;     // of SVIDs
  size_t failed_size_;   // the least batch that failed since the last Renew()
  uint64_t issued_ = 0;
  uint64_t rejected_ = 0;

  mutable Mutex mu_;  // guards Flight::landed
  std::unique_ptr<WorkerPool> pool_;  // null: not in_flight; what runs on it uses the above
};

}  // namespace writ
