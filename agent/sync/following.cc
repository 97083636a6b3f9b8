// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/following.h"

#include <algorithm>
#include <utility>

namespace writ {
namespace {

constexpr Duration kSyncEvery = std::chrono::minutes(10);
// Three times as long as a server is silent at most.
constexpr Duration kSilenceMax = std::chrono::seconds(90);
constexpr Duration kLookEvery = std::chrono::seconds(30);
// A server that has no notices may be replaced by one that has.
constexpr Duration kAskAgainAfter = std::chrono::minutes(10);

}  // namespace

void Following::Keep() {
  const MonoTime now = options_.clock->Monotonic();
  const std::optional<MonoTime> heard_at = reader_.HeardAt();
  if (heard_at && now - *heard_at > kSilenceMax) {
    reader_.End();
    OnEnded(Unavailable("nothing has come over it for too long"));
  } else if (running_) {
    if (std::optional<Status> how = reader_.Ended()) OnEnded(*how);
  }
  if (running_ || now < begin_at_) return;
  running_ = true;
  reader_.Begin();
}

// One that was up is begun again at once, and until the next poll it may come back.
void Following::OnEnded(const Status& how) {
  const MonoTime now = options_.clock->Monotonic();
  running_ = false;
  const bool was_up = std::exchange(was_up_, false);
  if (was_up) poll_at_ = now + options_.sync_interval;
  if (DenialOf(how) != Denial::kNone) must_sync_ = true;
  lacks_it_ = how.code() == Code::kUnimplemented;
  begin_at_ = now + (was_up ? Duration() : lacks_it_ ? kAskAgainAfter : backoff_.Next());
  if (was_up && (how.ok() || how.code() == Code::kCancelled)) return;
  if (std::exchange(told_down_, true)) return;
  options_.log->Write(lacks_it_ ? LogLevel::kInfo : LogLevel::kWarn,
                      "The server does not tell of changes; the agent polls",
                      {{"every", FormatDuration(options_.sync_interval)}, {"reason", how}});
}

Duration Following::LookAgainIn() const {
  if (running_ && IsUp()) return kLookEvery;
  const MonoTime now = options_.clock->Monotonic();
  // A server that has no notices is asked again when the agent polls anyway.
  Duration left = running_ || lacks_it_ ? options_.sync_interval : begin_at_ - now;
  if (poll_at_ > now) left = std::min(left, poll_at_ - now);
  return std::max(left, Duration(1));
}

bool Following::HasEnded() const {
  const std::optional<Status> ended = reader_.Ended();
  return running_ && ended && ended->code() != Code::kUnimplemented;
}

std::vector<Notice> Following::Take() {
  std::vector<Notice> notices = reader_.Take();
  for (const Notice& notice : notices) must_sync_ |= notice.resync;
  if (notices.empty() || !IsUp() || std::exchange(was_up_, true)) return notices;
  backoff_.Reset();
  told_down_ = false;
  options_.log->Info("The server tells of changes as they happen");
  return notices;
}

// While polling, each turn of the loop is a sync.
bool Following::MustSync() const {
  return must_sync_ || options_.clock->Monotonic() >= (IsUp() ? sync_at_ : poll_at_);
}

// A server that answers a sync is back.
void Following::EndSync() {
  must_sync_ = false;
  if (!running_ && !lacks_it_) {
    begin_at_ = options_.clock->Monotonic();
    backoff_.Reset();
  }
  poll_at_ = options_.clock->Monotonic();
  sync_at_ = poll_at_ + kSyncEvery;
}

}  // namespace writ
