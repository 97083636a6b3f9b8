// SPDX-License-Identifier: Apache-2.0
#include "server/loop.h"

#include <algorithm>
#include <utility>

namespace writ {

Loop::Loop(std::string name, Clock* clock, Time first, std::function<Time()> step)
    : clock_(clock),
      step_(std::move(step)),
      thread_(std::move(name),
              [this, first](std::stop_token stop) { Run(std::move(stop), first); }) {}

Loop::~Loop() {
  thread_.RequestStop();
  thread_.Join();
}

void Loop::Run(std::stop_token stop, Time due) {
  while (true) {
    Duration wait = std::clamp<Duration>(due - clock_->Now(), Duration::zero(), kLoopLookEvery);
    switch (clock_->WaitUntil(clock_->Monotonic() + wait, wake_, stop)) {
      case WakeReason::kStopped:
        return;
      case WakeReason::kNotified:
        due = step_();
        break;
      case WakeReason::kTime:
        if (clock_->Now() >= due) due = step_();
        break;
    }
  }
}

}  // namespace writ
