// SPDX-License-Identifier: Apache-2.0
//
// IdSelectors: the selectors of a process's user and groups, by number and by name. Names come from
// the system's account databases, which may be on a network and slow: what was found is used again
// for as long as kNamesKept, so that a renamed or new account counts that much later.
//
// Trust: callers choose their groups; what is kept is bounded in number and in bytes.
// Threads: thread-safe; the databases are asked without a lock held.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "attestors/unix/proc_status.h"
#include "core/base/clock.h"
#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/spiffe/selector.h"

namespace writ {

inline constexpr Duration kNamesKept = std::chrono::seconds(5);
inline constexpr size_t kIdSelectorsMax = 1024;
inline constexpr size_t kIdSelectorsBytesMax = 1 << 20;  // of all together

class IdSelectors {
 public:
  explicit IdSelectors(Clock* clock) : clock_(clock) {}

  // May wait for the databases. A user or group without a name gives no name selector.
  Result<std::vector<Selector>> Find(const ProcessIds& ids) EXCLUDES(mu_);
  // What is kept of an earlier Find; never waits.
  std::optional<std::vector<Selector>> Kept(const ProcessIds& ids) EXCLUDES(mu_);
  size_t KeptBytes() const EXCLUDES(mu_);

 private:
  struct Held {
    std::vector<Selector> selectors;
    size_t bytes;
    MonoTime until;
  };
  using HeldById = std::map<ProcessIds, Held>;

  void Keep(const ProcessIds& ids, const std::vector<Selector>& selectors) EXCLUDES(mu_);
  HeldById::iterator Drop(HeldById::iterator at) REQUIRES(mu_);

  Clock* const clock_;
  mutable Mutex mu_;
  HeldById held_ GUARDED_BY(mu_);
  size_t bytes_ GUARDED_BY(mu_) = 0;  // of all that is held
};

}  // namespace writ
