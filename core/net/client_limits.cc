// SPDX-License-Identifier: Apache-2.0
#include "core/net/client_limits.h"

#include <algorithm>
#include <chrono>

namespace writ {

std::shared_ptr<ClientLimits::Place> ClientLimits::Enter() {
  MutexLock lock(mu_);
  if (open_ >= connections_max_) return nullptr;
  ++open_;
  return std::make_shared<Place>(this);
}

size_t ClientLimits::Open() const {
  MutexLock lock(mu_);
  return open_;
}

bool ClientLimits::Claim(Place& place, const std::string& name) {
  MonoTime now = clock_->Monotonic();
  MutexLock lock(mu_);
  if (clients_.size() >= sweep_at_) ForgetTheIdle(now);
  Client& client = clients_[name];
  size_t free = connections_max_ - open_ + 1;  // its own place is taken already
  if (client.open >= kClientPerFree * free) return false;
  ++client.open;
  place.client_ = name;
  return true;
}

bool ClientLimits::Abandon(const Place& place, size_t calls) {
  if (calls == 0 || place.client_.empty()) return true;
  MonoTime now = clock_->Monotonic();
  MutexLock lock(mu_);
  Client& client = clients_.at(place.client_);
  client.abandoned = AbandonedNow(client, now) + static_cast<double>(calls);
  client.since = now;
  return client.abandoned <= kAbandonedMax;
}

bool ClientLimits::HoldCalls(Place& place, size_t calls) {
  if (place.client_.empty()) return true;
  MutexLock lock(mu_);
  Client& client = clients_.at(place.client_);
  const bool more = calls > place.calls_;
  client.calls += calls - place.calls_;  // modulo: fewer are subtracted
  calls_ += calls - place.calls_;
  place.calls_ = calls;
  const size_t free = calls_max_ - std::min(calls_max_, calls_);
  return !more || client.calls <= kClientPerFree * free;
}

// A client is remembered after its last connection for as long as it has something to pay off.
void ClientLimits::Leave(const Place& place) {
  MonoTime now = clock_->Monotonic();
  MutexLock lock(mu_);
  --open_;
  auto found = clients_.find(place.client_);
  if (found == clients_.end()) return;
  found->second.calls -= place.calls_;
  calls_ -= place.calls_;
  if (--found->second.open == 0 && AbandonedNow(found->second, now) <= 0) clients_.erase(found);
}

double ClientLimits::AbandonedNow(const Client& client, MonoTime now) const {
  double seconds = std::chrono::duration<double>(now - client.since).count();
  return std::clamp(client.abandoned - seconds * kAbandonedPerSecond, 0.0, kAbandonedMax);
}

// Each sweep is paid for by as many new clients as it left.
void ClientLimits::ForgetTheIdle(MonoTime now) {
  std::erase_if(clients_, [&](const auto& entry) {
    return entry.second.open == 0 && AbandonedNow(entry.second, now) <= 0;
  });
  sweep_at_ = std::max<size_t>(64, clients_.size() * 2);
}

size_t ConnectionsAllowedByDescriptors(size_t descriptors) {
  constexpr size_t kPerConnection = 4;
  constexpr size_t kOthersMin = 96;
  size_t others = std::max(kOthersMin, descriptors / 16);
  return descriptors > others ? std::max<size_t>(1, (descriptors - others) / kPerConnection) : 1;
}

}  // namespace writ
