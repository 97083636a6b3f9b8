// SPDX-License-Identifier: Apache-2.0
#include "server/ca/schedule.h"

#include <algorithm>

namespace writ {
namespace {

constexpr Duration kPrepareBeforeEndMax = std::chrono::hours(30 * 24);
constexpr Duration kActivateBeforeEndMax = std::chrono::hours(7 * 24);
constexpr Duration kKeptAfterExpiry = std::chrono::hours(24);
constexpr Duration kClockDifferenceMax = std::chrono::minutes(1);

Duration LifeOf(const JournalRow& row) {
  return std::chrono::seconds(row.not_after - row.issued_at);
}

}  // namespace

Time PrepareSuccessorAt(const JournalRow& row) {
  return FromUnixSeconds(row.not_after) - std::min(LifeOf(row) / 2, kPrepareBeforeEndMax);
}

Time ActivateSuccessorAt(const JournalRow& row) {
  return FromUnixSeconds(row.not_after) - std::min(LifeOf(row) / 6, kActivateBeforeEndMax);
}

Time PruneAt(int64_t expires_at) { return FromUnixSeconds(expires_at) + kKeptAfterExpiry; }

bool MaySignAt(const JournalRow& row, Time now) {
  return FromUnixSeconds(row.issued_at) <= now + kClockDifferenceMax &&
         now < FromUnixSeconds(row.not_after);
}

}  // namespace writ
