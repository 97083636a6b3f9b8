// SPDX-License-Identifier: Apache-2.0
#include "server/entry/feed_queue.h"

namespace writ {

// A queue that is due for a resync need not hold anything.
void FeedQueue::Push(std::shared_ptr<const FeedNote> note) {
  MutexLock lock(mu_);
  if (resync_) return;
  notes_.push_back(std::move(note));
  if (notes_.size() <= kFeedQueueMax) return;
  notes_.clear();
  resync_ = true;
}

void FeedQueue::Resync() {
  MutexLock lock(mu_);
  notes_.clear();
  resync_ = true;
}

void FeedQueue::Notify() {
  MutexLock lock(mu_);
  if (notify_) notify_();
}

void FeedQueue::End() {
  MutexLock lock(mu_);
  notify_ = nullptr;
}

bool FeedQueue::TakeResync() {
  MutexLock lock(mu_);
  return std::exchange(resync_, false);
}

void FeedQueue::Forget() {
  MutexLock lock(mu_);
  notes_.clear();
}

std::shared_ptr<const FeedNote> FeedQueue::Pop() {
  MutexLock lock(mu_);
  if (notes_.empty()) return nullptr;
  std::shared_ptr<const FeedNote> first = std::move(notes_.front());
  notes_.pop_front();
  return first;
}

bool FeedQueue::Empty() const {
  MutexLock lock(mu_);
  return notes_.empty() && !resync_;
}

}  // namespace writ
