// SPDX-License-Identifier: Apache-2.0
#include "server/api/rate_limits.h"

#include <algorithm>

namespace writ {
namespace {

constexpr Duration kBurst = std::chrono::seconds(1);
constexpr Duration kLookEvery = std::chrono::minutes(1);  // while nobody waits

// When `cost` more may pass: the bucket then holds no more than a burst.
MonoTime TurnOf(MonoTime full_at, Duration cost, MonoTime now) {
  return std::max(full_at, now) + cost - kBurst;
}

}  // namespace

RateLimits::RateLimits(const RateLimitSettings& settings, Clock* clock)
    : per_second_{0,
                  0,
                  settings.attestation,
                  settings.signing,
                  settings.signing,
                  settings.signing,
                  kPublishesPerSecond,
                  kPostStatusPerSecond},
      clock_(clock),
      thread_("rate-limits", [this](std::stop_token stop) { Run(std::move(stop)); }) {}

RateLimits::~RateLimits() {
  Stop();
  thread_.RequestStop();
  thread_.Join();
}

std::optional<Status> RateLimits::Take(Ask ask, std::function<void(Status)> then) {
  int64_t per_second = per_second_[static_cast<size_t>(ask.rate)];
  if (per_second == 0 || ask.count == 0) return OkStatus();
  if (ask.count > static_cast<size_t>(per_second)) {
    return ResourceExhausted("rate (" + std::to_string(ask.count) + ") exceeds burst size (" +
                             std::to_string(per_second) + "): send fewer at once");
  }
  const Duration cost = kBurst / per_second * static_cast<int64_t>(ask.count);
  std::optional<Status> answer;
  Answers left;  // of those that turn out to have gone
  {
    MutexLock lock(mu_);
    const MonoTime now = clock_->Monotonic();
    std::string key = std::to_string(static_cast<int>(ask.rate)) + " " + ask.address;
    Bucket* bucket = Find(std::move(key), now);
    const MonoTime turn = TurnOf(bucket->full_at, bucket->queued + cost, now);
    if (bucket->waiters.empty() && turn <= now) {
      bucket->full_at = std::max(bucket->full_at, now) + cost;
      return OkStatus();
    }
    if (turn > ask.deadline) {
      return ResourceExhausted(
          "the turn of this call comes after its deadline, in " +
          FormatDuration(std::chrono::ceil<std::chrono::milliseconds>(turn - now)) +
          ": an address may have " + std::to_string(per_second) + " per second");
    }
    Status queued = Enqueue(
        bucket, {.cost = cost, .gone = std::move(ask.gone), .then = std::move(then)}, turn, &left);
    if (!queued.ok()) answer = std::move(queued);
  }
  for (auto& [call, status] : left) call(std::move(status));
  if (!answer) wake_.Notify();
  return answer;
}

Status RateLimits::Enqueue(Bucket* bucket, Waiter waiter, MonoTime turn, Answers* answers) {
  if (stopped_) return Unavailable("the server is stopping");
  if (bucket->waiters.size() >= kRateWaitersPerAddressMax) Sweep(bucket, answers);
  if (bucket->waiters.size() >= kRateWaitersPerAddressMax || waiting_ >= kRateWaitersMax) {
    return ResourceExhausted("too many calls wait for their turn already: try again later");
  }
  if (bucket->waiters.empty()) {
    idle_.erase(bucket->idle);
    due_.emplace(turn, bucket);
  }
  bucket->queued += waiter.cost;
  bucket->waiters.push_back(std::move(waiter));
  ++waiting_;
  return OkStatus();
}

// Those that have left make room, all but the first, by whose turn the bucket stands in due_.
void RateLimits::Sweep(Bucket* bucket, Answers* answers) {
  auto stays = [&](Waiter& waiter) {
    if (&waiter == &bucket->waiters.front() || !waiter.gone()) return true;
    answers->emplace_back(std::move(waiter.then), Cancelled("the caller has left"));
    bucket->queued -= waiter.cost;
    --waiting_;
    return false;
  };
  std::deque<Waiter> kept;
  for (Waiter& waiter : bucket->waiters) {
    if (stays(waiter)) kept.push_back(std::move(waiter));
  }
  bucket->waiters = std::move(kept);
}

RateLimits::Bucket* RateLimits::Find(std::string key, MonoTime now) {
  auto found = buckets_.find(key);
  if (found == buckets_.end()) {
    Forget(now);
    auto fresh = std::make_unique<Bucket>();
    fresh->key = key;
    fresh->full_at = now;
    idle_.push_front(fresh.get());
    fresh->idle = idle_.begin();
    found = buckets_.emplace(std::move(key), std::move(fresh)).first;
    return found->second.get();
  }
  Bucket* bucket = found->second.get();
  if (bucket->waiters.empty()) idle_.splice(idle_.begin(), idle_, bucket->idle);
  return bucket;
}

// Room for one more: full buckets go, two at a time so that the table shrinks; without one, and
// with no room, the one used longest ago.
void RateLimits::Forget(MonoTime now) {
  for (int i = 0; i < 2 && !idle_.empty(); ++i) {
    Bucket* oldest = idle_.back();
    if (oldest->full_at > now && buckets_.size() < kRateAddressesMax) return;
    idle_.pop_back();
    buckets_.erase(std::string(oldest->key));
  }
}

void RateLimits::Run(std::stop_token stop) {
  MonoTime next = clock_->Monotonic() + kLookEvery;
  while (clock_->WaitUntil(next, wake_, stop) != WakeReason::kStopped) {
    Answers answers;
    next = Serve(&answers);
    for (auto& [then, status] : answers) then(std::move(status));
  }
}

MonoTime RateLimits::Serve(Answers* answers) {
  MutexLock lock(mu_);
  const MonoTime now = clock_->Monotonic();
  while (!due_.empty() && due_.begin()->first <= now) {
    Bucket* bucket = due_.begin()->second;
    due_.erase(due_.begin());
    ServeBucket(bucket, now, answers);
  }
  return due_.empty() ? now + kLookEvery : due_.begin()->first;
}

void RateLimits::ServeBucket(Bucket* bucket, MonoTime now, Answers* answers) {
  while (!bucket->waiters.empty()) {
    Waiter& first = bucket->waiters.front();
    const bool gone = first.gone();
    const MonoTime turn = TurnOf(bucket->full_at, first.cost, now);
    if (!gone && turn > now) {
      due_.emplace(turn, bucket);
      return;
    }
    if (!gone) bucket->full_at = std::max(bucket->full_at, now) + first.cost;
    answers->emplace_back(std::move(first.then),
                          gone ? Cancelled("the caller has left") : OkStatus());
    bucket->queued -= first.cost;
    bucket->waiters.pop_front();
    --waiting_;
  }
  idle_.push_front(bucket);
  bucket->idle = idle_.begin();
}

void RateLimits::Stop() {
  Answers answers;
  {
    MutexLock lock(mu_);
    stopped_ = true;
    for (const auto& [turn, bucket] : due_) {
      for (Waiter& waiter : bucket->waiters) {
        answers.emplace_back(std::move(waiter.then), Unavailable("the server is stopping"));
      }
      bucket->waiters.clear();
      bucket->queued = Duration::zero();
      idle_.push_front(bucket);
      bucket->idle = idle_.begin();
    }
    due_.clear();
    waiting_ = 0;
  }
  for (auto& [then, status] : answers) then(std::move(status));
}

size_t RateLimits::Size() const {
  MutexLock lock(mu_);
  return buckets_.size();
}

}  // namespace writ
