// SPDX-License-Identifier: Apache-2.0
//
// When an X.509-SVID is to be renewed: at half of its life, give or take 10 %, so that those which
// were issued together are not renewed together.
// Threads: a free function; the random source is thread-safe.
#pragma once

#include <algorithm>

#include "core/base/clock.h"
#include "core/base/random.h"

namespace writ {

inline Time RenewTime(Time not_before, Time not_after, Time now, Random& random) {
  auto part = [](Duration whole, double share) {
    return std::chrono::duration_cast<Duration>(whole * share);
  };
  Time half = not_before + part(not_after - not_before, 0.45 + 0.1 * random.Uniform());
  // Where this clock is ahead of the server's, half may have passed at once: still use some of it.
  return std::max(half, now + part(not_after - now, 0.4));
}

}  // namespace writ
