// SPDX-License-Identifier: Apache-2.0
//
// Following: decides between the two ways to stay in step with the server: its notices while their
// stream is up, polling while it is not. A stream that is lost is resumed from its last notice; one
// that ends as streams do, because its connection has grown old, costs no sync. A sync still runs
// every few minutes while the stream is up: by revisions it costs little, and whatever the notices
// might not tell comes right with it.
//
// Threads: IsUp() by any, the rest by the agent's loop alone.
#pragma once

#include <functional>
#include <vector>

#include "agent/client/server_api.h"
#include "agent/sync/backoff.h"
#include "agent/sync/notice_reader.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/random.h"

namespace writ {

struct FollowingOptions {
  NoticeSource* source;  // borrowed, as are clock, random and log
  Duration sync_interval;
  std::function<void()> notify;  // Take() has something, or Keep() has something to do
  Clock* clock;
  Random* random;
  Log* log;
  StartThread start_thread = StartAThread;
};

class Following {
 public:
  explicit Following(FollowingOptions options)
      : options_(std::move(options)),
        reader_(options_.source, options_.clock, options_.notify, options_.start_thread),
        backoff_(options_.random) {}

  bool IsUp() const { return reader_.HeardAt().has_value(); }
  // The stream has ended and Keep() was not called since; not for want of notices at the server,
  // which is no haste.
  bool HasEnded() const;

  // Begins to follow, or goes on. For an agent that may call.
  void Keep();
  // The very first notice is to come soon. It gives the agent a number to follow from, and says
  // that whatever was before is unknown: a sync that begins after it need not be done twice.
  bool AwaitsFirst() const { return reader_.AwaitsFirst(); }
  // In how long Keep() has something to do again.
  Duration LookAgainIn() const;

  // What the server has told; where it told to fetch everything, that is to be done first.
  std::vector<Notice> Take();
  bool MustSync() const;
  bool ResyncTold() const { return must_sync_; }
  void RequireSync() { must_sync_ = true; }
  // What was told so far is covered by a sync that begins now.
  void BeginSync() { (void)Take(); }
  void EndSync();

 private:
  void OnEnded(const Status& how);

  const FollowingOptions options_;  // constant after construction
  NoticeReader reader_;             // its own lock

  Backoff backoff_;
  bool running_ = false;    // a stream was begun and its end not seen
  bool was_up_ = false;     // the stream that runs has told something
  bool told_down_ = false;  // in the log, since the last one that was up
  bool lacks_it_ = false;   // how the last one ended: the server has none
  bool must_sync_ = true;
  MonoTime begin_at_{};  // the next stream, when none runs
  MonoTime sync_at_{};   // while it is up
  MonoTime poll_at_{};   // while it is not
};

}  // namespace writ
