// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/notice_reader.h"

#include <utility>

namespace writ {

void NoticeReader::Begin() {
  End();
  uint64_t after = 0;
  {
    MutexLock lock(mu_);
    ended_.reset();
    after = sequence_;
  }
  thread_ = start_("notices", [this, after](std::stop_token stop) {
    Status ended = source_->Follow(
        after, [this](Notice notice) { OnNotice(std::move(notice)); }, stop);
    {
      MutexLock lock(mu_);
      heard_at_.reset();
      ended_ = std::move(ended);
    }
    notify_();
  });
}

void NoticeReader::End() {
  if (!thread_.Joinable()) return;
  thread_.RequestStop();
  thread_.Join();
}

void NoticeReader::OnNotice(Notice notice) {
  {
    MutexLock lock(mu_);
    heard_at_ = clock_->Monotonic();
    sequence_ = notice.sequence;
    const bool over = held_.size() >= kNoticesHeldMax;
    if (over) held_.clear();
    held_.push_back(over ? Notice{.sequence = notice.sequence, .resync = true} : std::move(notice));
  }
  notify_();
}

std::optional<MonoTime> NoticeReader::HeardAt() const {
  MutexLock lock(mu_);
  return heard_at_;
}

bool NoticeReader::AwaitsFirst() const {
  if (!thread_.Joinable()) return false;
  MutexLock lock(mu_);
  return sequence_ == 0 && !heard_at_ && !ended_;
}

std::optional<Status> NoticeReader::Ended() const {
  MutexLock lock(mu_);
  return ended_;
}

std::vector<Notice> NoticeReader::Take() {
  MutexLock lock(mu_);
  return std::exchange(held_, {});
}

}  // namespace writ
