// SPDX-License-Identifier: Apache-2.0
//
// Backoff: how long to wait after one more failure: twice as long each time up to a limit, a
// quarter either way by chance, so that agents which lost their server together do not come back
// together.
// Threads: not thread-safe.
#pragma once

#include <algorithm>

#include "core/base/clock.h"
#include "core/base/random.h"

namespace writ {

inline constexpr Duration kBackoffMin = std::chrono::milliseconds(500);
inline constexpr Duration kBackoffMax = std::chrono::seconds(30);

class Backoff {
 public:
  explicit Backoff(Random* random) : random_(random) {}

  Duration Next() {
    Duration wait = std::chrono::duration_cast<Duration>(next_ * (0.75 + 0.5 * random_->Uniform()));
    next_ = std::min(kBackoffMax, next_ * 2);
    return wait;
  }
  void Reset() { next_ = kBackoffMin; }

 private:
  Random* const random_;
  Duration next_ = kBackoffMin;
};

}  // namespace writ
