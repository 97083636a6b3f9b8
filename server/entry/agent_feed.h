// SPDX-License-Identifier: Apache-2.0
//
// AgentFeed: what changes for one agent, from a number of the change sequence on. What is queued is
// which entries a change may have given to the agent or taken from it; what is so is looked up when
// it is taken, in terms of now. So taking a change twice, or one that a sync has brought already,
// does no harm.
//
// A feed that is not taken from holds at most kFeedQueueMax changes; then it forgets them and tells
// its agent to fetch everything. The same where a change reaches too far, or the past is not known.
//
// Threads: a feed is used by one thread at a time; `notify` comes on a writer's, with no lock that
// Take() needs, and must only schedule work.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/spiffe/entry.h"

namespace writ {

inline constexpr size_t kFeedQueueMax = 4096;   // changes that wait for one agent
inline constexpr size_t kFeedMissedMax = 4096;  // changes since an agent's number
inline constexpr size_t kFeedReachMax = 1000;   // entries that one change concerns
inline constexpr size_t kFeedsPerAgentMax = 4;

struct Told {
  uint64_t sequence = 0;  // with this taken, the agent is in step up to here
  bool resync = false;    // fetch everything; the rest is empty
  bool more = false;      // take again at once
  // The change of the bundle that was last; 0: none.
  uint64_t bundle_change = 0;
  std::vector<Entry> put;          // new, changed, or newly the agent's
  std::vector<std::string> gone;   // gone, or no longer the agent's
  Time again_at = Time::max();     // what is authorized changes then by itself
};

class AgentFeed {
 public:
  virtual ~AgentFeed() = default;
  // At most `entries_max` entries. Without news: the sequence alone.
  virtual Told Take(Time now, size_t entries_max) = 0;
};

class AgentFeeds {
 public:
  virtual ~AgentFeeds() = default;
  // `after`: the agent's number, 0 for none. ResourceExhausted when the agent has too many feeds.
  // The feed must end before this object.
  virtual Result<std::unique_ptr<AgentFeed>> Follow(const SpiffeId& agent, uint64_t after,
                                                    std::function<void()> notify) = 0;
};

}  // namespace writ
