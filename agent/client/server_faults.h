// SPDX-License-Identifier: Apache-2.0
//
// ServerFaults: tells the log what the server sent that cannot be used. It is sent again with every
// poll, and by a hostile server without end: malformed entries are a line a minute, whatever their
// number, and a bundle's authorities are told of when others are bad than before.
//
// Threads: thread-safe.
#pragma once

#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/net/log_limit.h"

namespace writ {

// Of one message or sync. Threads: one at a time.
class MalformedEntries {
 public:
  void Add(const std::string& id, const Status& why) {
    if (count_++ > 0) return;
    first_id_ = id;
    why_ = why;
  }
  size_t count() const { return count_; }
  const std::string& first_id() const { return first_id_; }
  const Status& why() const { return why_; }  // of the first

 private:
  size_t count_ = 0;
  std::string first_id_;
  Status why_;
};

class ServerFaults {
 public:
  ServerFaults(Clock* clock, Log* log) : log_(log), entries_(clock) {}

  void Tell(const MalformedEntries& malformed);
  // Why each authority of a bundle was left out; empty: all are good.
  void TellAuthorities(std::vector<std::string> left_out) EXCLUDES(mu_);

 private:
  Log* const log_;
  LogLimit entries_;
  Mutex mu_;
  std::vector<std::string> left_out_ GUARDED_BY(mu_);  // of the last bundle
};

}  // namespace writ
