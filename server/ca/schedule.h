// SPDX-License-Identifier: Apache-2.0
//
// When an authority is due for what. Threads: free functions.
#pragma once

#include "core/base/clock.h"
#include "server/store/store.h"

namespace writ {

// The successor is prepared at half of the life, at most 30 days before its end ...
Time PrepareSuccessorAt(const JournalRow& row);
// ... and activated at five sixths, at most 7 days before its end.
Time ActivateSuccessorAt(const JournalRow& row);
// What has expired stays in the bundle for 24 h, for those whose clocks are behind.
Time PruneAt(int64_t expires_at);

// An authority may sign from its issue (give or take what clocks differ) until its end. One from
// the future was made under a clock that has been set back since: nobody else would accept it yet.
bool MaySignAt(const JournalRow& row, Time now);

}  // namespace writ
