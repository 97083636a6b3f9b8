// SPDX-License-Identifier: Apache-2.0
//
// NoticeReader: follows the server's notices on a thread of its own and holds what came until the
// agent's loop takes it. Bounded: a loop that does not take is told to fetch everything instead.
//
// Threads: thread-safe; Begin() and the destructor by the loop's thread.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "agent/client/server_api.h"
#include "core/base/clock.h"
#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/base/thread.h"

namespace writ {

inline constexpr size_t kNoticesHeldMax = 64;

// What a test may replace: a body that ends at once need not be a thread, which would come in its
// own good time.
using StartThread = std::function<Thread(std::string, std::function<void(std::stop_token)>)>;
inline Thread StartAThread(std::string name, std::function<void(std::stop_token)> body) {
  return Thread(std::move(name), std::move(body));
}

class NoticeReader {
 public:
  // `notify`: something can be taken, or the stream is up or down.
  NoticeReader(NoticeSource* source, Clock* clock, std::function<void()> notify,
               StartThread start = StartAThread)
      : source_(source), clock_(clock), notify_(std::move(notify)), start_(std::move(start)) {}
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
  const std::function<void()> notify_;  // constant after construction, as is
  const StartThread start_;             // what starts the thread

  mutable Mutex mu_;
  uint64_t sequence_ GUARDED_BY(mu_) = 0;
  std::vector<Notice> held_ GUARDED_BY(mu_);
  std::optional<MonoTime> heard_at_ GUARDED_BY(mu_);
  std::optional<Status> ended_ GUARDED_BY(mu_);
  Thread thread_;  // of the loop's thread
};

}  // namespace writ
