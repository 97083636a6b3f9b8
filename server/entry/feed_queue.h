// SPDX-License-Identifier: Apache-2.0
//
// FeedQueue: what one agent is still to be told, bounded: the writer's end and the
// reader's end of an AgentFeed.
//
// Threads: thread-safe.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/mutex.h"
#include "server/entry/agent_feed.h"

namespace writ {

// A change (or several) as the feeds hold it, shared by those that it concerns.
struct FeedNote {
  uint64_t sequence = 0;
  bool resync = false;             // it reaches too far, or makes the agent another one
  bool moved = false;              // who has which alias may be different
  uint64_t bundle_change = 0;      // 0: none
  std::vector<std::string> reach;  // the entries that may have come to an agent or gone from it
};

class FeedQueue {
 public:

  FeedQueue(std::string agent_id, std::function<void()> notify)
      : agent_id_(std::move(agent_id)), notify_(std::move(notify)) {}

  const std::string& agent_id() const { return agent_id_; }

  void Push(std::shared_ptr<const FeedNote> note) EXCLUDES(mu_);
  // Instead of all that is held.
  void Resync() EXCLUDES(mu_);
  // Nothing is notified once End() returned.
  void Notify() EXCLUDES(mu_);
  void End() EXCLUDES(mu_);

  // Whether a resync is due; it is taken as given then.
  bool TakeResync() EXCLUDES(mu_);
  // A resync covers them.
  void Forget() EXCLUDES(mu_);
  std::shared_ptr<const FeedNote> Pop() EXCLUDES(mu_);  // null: none
  bool Empty() const EXCLUDES(mu_);

 private:
  const std::string agent_id_;
  mutable Mutex mu_;
  std::function<void()> notify_ GUARDED_BY(mu_);  // empty after End()
  std::deque<std::shared_ptr<const FeedNote>> notes_ GUARDED_BY(mu_);
  bool resync_ GUARDED_BY(mu_) = false;  // nothing else is held then
};

}  // namespace writ
