// SPDX-License-Identifier: Apache-2.0
//
// NoticeReader: follows the server's notices on a thread of its own and holds what came until the
// agent's loop takes it. Bounded: a loop that does not take is told to fetch everything instead.
//
// Threads: thread-safe; Begin() and the destructor by the loop's thread.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "agent/client/server_api.h"
#include "core/base/clock.h"
#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/base/thread.h"

namespace writ {

inline constexpr size_t kNoticesHeldMax = 64;

class NoticeReader {
 public:
  // `notify`: something can be taken, or the stream is up or down.
  NoticeReader(NoticeSource* source, Clock* clock, std::function<void()> notify)
      : source_(source), clock_(clock), notify_(std::move(notify)) {}
  ~NoticeReader() { End(); }
  NoticeReader(const NoticeReader&) = delete;
  NoticeReader& operator=(const NoticeReader&) = delete;

  // Follows from the last notice on; one that runs is ended first.
  void Begin() EXCLUDES(mu_);
  void End() EXCLUDES(mu_);

  // Since when nothing has come over a stream that is up; none: it is down.
  std::optional<MonoTime> HeardAt() const EXCLUDES(mu_);
  // A stream runs, and neither this nor an earlier one has told anything yet.
  bool AwaitsFirst() const EXCLUDES(mu_);
  // How the last stream ended; none while one runs.
  std::optional<Status> Ended() const EXCLUDES(mu_);
  std::vector<Notice> Take() EXCLUDES(mu_);

 private:
  void OnNotice(Notice notice) EXCLUDES(mu_);

  NoticeSource* const source_;  // borrowed, as is the clock
  Clock* const clock_;
  const std::function<void()> notify_;  // constant after construction

  mutable Mutex mu_;
  uint64_t sequence_ GUARDED_BY(mu_) = 0;
  std::vector<Notice> held_ GUARDED_BY(mu_);
  std::optional<MonoTime> heard_at_ GUARDED_BY(mu_);
  std::optional<Status> ended_ GUARDED_BY(mu_);
  Thread thread_;  // of the loop's thread
};

}  // namespace writ
