// SPDX-License-Identifier: Apache-2.0
#include "agent/cache/x509_shelf.h"

#include <algorithm>
#include <utility>

namespace writ {

using Place = HeldEntry::Place;

constexpr Time kAtOnce = Time::min();  // before every other renewal
constexpr Duration kPutOffMin = std::chrono::milliseconds(500);

Place X509Shelf::PlaceOf(const HeldEntry& held) const {
  if (held.expired || held.packed.store_svid()) return Place::kNone;
  if (held.x509()) return held.demand > 0 ? Place::kInUse : Place::kIdle;
  if (held.demand > 0) return Place::kAwaited;
  return held.packed.disable_x509_svid_prefetch() ? Place::kNone : Place::kAbsent;
}

void X509Shelf::Leave(HeldEntry* held) {
  if (held->place == Place::kIdle) idle_.erase(held->shelved->idle);
  if (held->place == Place::kAwaited) awaited_.erase(held);
  if (held->place == Place::kAbsent) {
    absent_[held->absent] = absent_.back();
    absent_[held->absent]->absent = held->absent;
    absent_.pop_back();
  }
  held->place = Place::kNone;
}

void X509Shelf::Enter(HeldEntry* held, Place place) {
  // One that was in use is the last used now; one that came ahead of demand goes first.
  const bool was_in_use = held->place == Place::kInUse;
  Leave(held);
  held->place = place;
  if (place == Place::kIdle) {
    held->shelved->idle = idle_.insert(was_in_use ? idle_.begin() : idle_.end(), held);
  }
  if (place == Place::kAwaited) awaited_.insert(held);
  if (place == Place::kAbsent) {
    held->absent = static_cast<uint32_t>(absent_.size());
    absent_.push_back(held);
  }
}

void X509Shelf::Schedule(HeldEntry* held, Time at) {
  Unschedule(held);
  held->shelved->renewal = renewals_.emplace(at, held).first;
  held->shelved->scheduled = true;
}

void X509Shelf::Unschedule(HeldEntry* held) {
  if (!held->shelved || !std::exchange(held->shelved->scheduled, false)) return;
  renewals_.erase(held->shelved->renewal);
}

void X509Shelf::Refile(HeldEntry* held) {
  const Place place = PlaceOf(*held);
  if (place == Place::kNone && held->shelved) {  // nobody may have it any more
    held->shelved->x509 = nullptr;
    Unschedule(held);
  }
  if (place != held->place) Enter(held, place);
  if (!held->x509()) held->shelved = nullptr;
}

void X509Shelf::Remove(HeldEntry* held) {
  Unschedule(held);
  Leave(held);
}

void X509Shelf::SetX509(HeldEntry* held, std::shared_ptr<const HeldX509> x509) {
  Unschedule(held);
  if (x509) {
    const Time renew_at = x509->renew_at;
    if (!held->shelved) held->shelved = std::make_unique<Shelved>();
    held->shelved->x509 = std::move(x509);
    Schedule(held, renew_at);
  } else if (held->shelved) {
    held->shelved->x509 = nullptr;
  }
  Refile(held);
}

void X509Shelf::RenewNow(HeldEntry* held) {
  if (held->shelved) Schedule(held, kAtOnce);
}

Duration X509Shelf::PutOff(HeldEntry* held, Time now, Duration pause) {
  if (!held->x509()) return pause;
  pause = std::min(pause, std::max((held->x509()->not_after - now) / 10, kPutOffMin));
  Schedule(held, now + pause);
  return pause;
}

void X509Shelf::RenewSignedBy(const std::set<std::string>& authority_key_ids) {
  std::vector<HeldEntry*> signed_by;
  for (const auto& [at, held] : renewals_) {
    if (RestsOn(*held->shelved->x509, authority_key_ids)) signed_by.push_back(held);
  }
  for (HeldEntry* held : signed_by) RenewNow(held);
}

void X509Shelf::AddDemand(HeldEntry* held) {
  ++held->demand;
  Refile(held);
}

void X509Shelf::DropDemand(HeldEntry* held) {
  CHECK(held->demand > 0);
  --held->demand;
  Refile(held);
}

std::vector<HeldEntry*> X509Shelf::Shrink() {
  std::vector<HeldEntry*> given_up;
  while (renewals_.size() > held_max_ && !idle_.empty()) {
    ++given_up_;
    given_up.push_back(idle_.back());
    SetX509(idle_.back(), nullptr);
  }
  return given_up;
}

size_t X509Shelf::Room() const {
  const size_t taken = renewals_.size() + awaited_.size();
  return taken < held_max_ ? held_max_ - taken : 0;
}

std::vector<HeldEntry*> X509Shelf::Wanted(Time now) {
  std::vector<HeldEntry*> wanted(awaited_.begin(), awaited_.end());
  for (const auto& [at, held] : renewals_) {
    if (at > now) break;
    wanted.push_back(held);
  }
  const size_t ahead = std::min(Room(), absent_.size());
  for (size_t i = 0; i < ahead; ++i) {
    if (next_absent_ >= absent_.size()) next_absent_ = 0;
    wanted.push_back(absent_[next_absent_++]);
  }
  return wanted;
}

std::vector<HeldEntry*> X509Shelf::Urgent() const {
  std::vector<HeldEntry*> urgent(awaited_.begin(), awaited_.end());
  for (const auto& [at, held] : renewals_) {
    if (at > kAtOnce) break;
    if (held->demand > 0) urgent.push_back(held);
  }
  return urgent;
}

Time X509Shelf::NextRenewal() const {
  return renewals_.empty() ? Time::max() : renewals_.begin()->first;
}

}  // namespace writ
