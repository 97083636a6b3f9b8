// SPDX-License-Identifier: Apache-2.0
//
// Loop: one concern at its own pace: a step that says when it is due again, run on a thread of its
// own at that time or when somebody notifies.
//
// Threads: Notify() by any. Lifetime: the destructor waits for a running step.
#pragma once

#include <functional>
#include <string>

#include "core/base/clock.h"
#include "core/base/thread.h"

namespace writ {

// A step's next time is looked at anew this often, so that a wall clock that jumps is noticed.
inline constexpr Duration kLoopLookEvery = std::chrono::minutes(1);

class Loop {
 public:
  // `step` runs first when `first` has come.
  Loop(std::string name, Clock* clock, Time first, std::function<Time()> step);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  void Notify() { wake_.Notify(); }

 private:
  void Run(std::stop_token stop, Time due);

  Clock* const clock_;  // borrowed
  const std::function<Time()> step_;
  Wake wake_;
  Thread thread_;  // last: it uses all of the above
};

}  // namespace writ
