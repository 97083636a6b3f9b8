// SPDX-License-Identifier: Apache-2.0
//
// FairPlaces: how many calls may wait for something, in all, of one local user and of one process.
//
// To fork costs nothing, to become another user takes an administrator. So it is users that others
// are protected from: one may have as many places as are free, alone a half of all, and there is
// room for others still. Within a user (on many nodes all workloads are root's) a process has an
// eighth, so that one which floods by mistake leaves its neighbors theirs.
//
// Trust: callers are hostile; what is remembered of them ends with their waits.
// Threads: guarded by whoever holds it.
#pragma once

#include <sys/types.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <string>
#include <utility>

#include "core/base/status.h"

namespace writ {

inline constexpr size_t kProcessesPerPlaces = 8;

class FairPlaces {
 public:
  // `what`: are taken, in the plural, for those who get none.
  FairPlaces(size_t places_max, std::string what)
      : what_(std::move(what)),
        places_max_(places_max),
        process_max_(std::max<size_t>(1, places_max / kProcessesPerPlaces)) {}

  // Unavailable says whose places are all taken. What was taken is given back by Leave().
  Status Take(uid_t uid, pid_t pid);
  void Leave(uid_t uid, pid_t pid);

 private:
  Status ShareUsedUp(const std::string& who, size_t taken) const;

  const std::string what_;
  const size_t places_max_;
  const size_t process_max_;
  size_t taken_ = 0;
  std::map<uid_t, size_t> by_user_;  // those who have any, as the next
  std::map<pid_t, size_t> by_process_;
};

}  // namespace writ
