// SPDX-License-Identifier: Apache-2.0
#include "agent/cache/cache.h"

#include <algorithm>
#include <set>
#include <unordered_map>
#include <utility>

#include "agent/cache/entry_index.h"
#include "agent/cache/jwt_lru.h"
#include "agent/cache/update.h"
#include "agent/cache/x509_shelf.h"

namespace writ {

// One subscriber's place for the newest update. `notify` has a lock of its own, so that Take() may
// be called under a lock that the callback takes.
struct Slot {
  Mutex mu;
  std::shared_ptr<const WorkloadUpdate> newest GUARDED_BY(mu);
  std::shared_ptr<const WorkloadUpdate> taken GUARDED_BY(mu);

  Mutex notify_mu;
  std::function<void()> notify GUARDED_BY(notify_mu);
};

namespace {

using State = WorkloadUpdate::State;

class MemoryCache final : public Cache, public std::enable_shared_from_this<MemoryCache> {
 public:
  MemoryCache(Clock* clock, CacheLimits limits)
      : clock_(clock),
        shelf_(static_cast<size_t>(limits.x509_max)),
        jwts_(static_cast<size_t>(limits.jwt_max)) {}

  void Apply(CacheChange change) override EXCLUDES(mu_);
  Time DropExpired() override EXCLUDES(mu_);
  bool HoldsEnded() const override EXCLUDES(mu_);
  std::vector<X509Want> Wanted() override EXCLUDES(mu_);
  std::vector<X509Want> Urgent() override EXCLUDES(mu_);
  void OnAwaited(std::function<void()> awaited) override { awaited_ = std::move(awaited); }
  Time NextRenewal() const override EXCLUDES(mu_);
  Duration PutOff(std::string_view entry_id, Duration pause) override EXCLUDES(mu_);
  std::unique_ptr<Subscription> Subscribe(Selectors selectors, Interest interest,
                                          std::function<void()> notify) override EXCLUDES(mu_);
  std::shared_ptr<const WorkloadUpdate> Lookup(const Selectors& selectors) override EXCLUDES(mu_);
  std::shared_ptr<const Bundle> CurrentBundle() const override EXCLUDES(mu_);
  std::vector<PackedEntry> Entries() const override EXCLUDES(mu_);
  size_t size() const override EXCLUDES(mu_);
  const PackedEntry* Find(std::string_view id) const override EXCLUDES(mu_);
  void ForEach(const std::function<void(const PackedEntry&)>& visit) const override EXCLUDES(mu_);
  CacheCounts Counts() const override EXCLUDES(mu_);
  std::optional<HeldJwt> FindJwt(const Entry& entry,
                                 const std::vector<std::string>& audience) override EXCLUDES(mu_);
  void PutJwt(const Entry& entry, const std::vector<std::string>& audience, HeldJwt jwt) override
      EXCLUDES(mu_);

  void Unsubscribe(const Selectors& selectors, Interest interest, const std::shared_ptr<Slot>& slot)
      EXCLUDES(mu_);

 private:
  using Slots = std::vector<std::shared_ptr<Slot>>;

  void DropWhatIsDue() EXCLUDES(mu_);
  void Put(PackedEntry entry, std::set<Group*>& affected) REQUIRES(mu_);
  HeldEntry& Replace(std::string_view id, PackedEntry entry, std::set<Group*>& affected)
      REQUIRES(mu_);
  void Remove(const std::string& entry_id, std::set<Group*>& affected) REQUIRES(mu_);
  void SetExpired(HeldEntry& held, bool expired) REQUIRES(mu_);
  void CountDemand(HeldEntry& held, std::set<Group*>& affected) REQUIRES(mu_);
  void TakeBundle(std::shared_ptr<const Bundle> bundle) REQUIRES(mu_);
  void Shrink(std::set<Group*>& affected) REQUIRES(mu_);
  void NoteExpiry(const HeldEntry& held) REQUIRES(mu_);
  bool ExpireEntry(HeldEntry& held, Time now) REQUIRES(mu_);
  bool Holds(const Entry& entry) const REQUIRES(mu_);
  std::shared_ptr<const WorkloadUpdate> Compute(const Selectors& selectors) const REQUIRES(mu_);
  void Recompute(const std::set<Group*>& affected, Slots& to_notify) REQUIRES(mu_);

  Clock* const clock_;             // constant after construction
  std::function<void()> awaited_;  // constant after OnAwaited()
  mutable Mutex mu_;
  bool synced_ GUARDED_BY(mu_) = false;
  std::shared_ptr<const Bundle> bundle_ GUARDED_BY(mu_);
  // By entry ID, which is the entry's own text.
  std::unordered_map<std::string_view, HeldEntry> entries_ GUARDED_BY(mu_);
  size_t expired_count_ GUARDED_BY(mu_) = 0;  // of the entries
  std::map<Selectors, Group> groups_ GUARDED_BY(mu_);
  HeldEntryIndex index_ GUARDED_BY(mu_);
  X509Shelf shelf_ GUARDED_BY(mu_);
  JwtLru jwts_ GUARDED_BY(mu_);
  Time next_expiry_ GUARDED_BY(mu_) = Time::max();  // no entry or X.509-SVID ends before
  Time last_expiry_check_ GUARDED_BY(mu_) = Time::min();
};

// False when there is nothing new for the subscriber.
bool Offer(Slot& slot, const std::shared_ptr<const WorkloadUpdate>& update) {
  MutexLock lock(slot.mu);
  slot.newest = update;
  return !slot.taken || !SameUpdate(*slot.taken, *update);
}

void Notify(const std::vector<std::shared_ptr<Slot>>& slots) {
  for (const std::shared_ptr<Slot>& slot : slots) {
    MutexLock lock(slot->notify_mu);
    if (slot->notify) slot->notify();
  }
}

class SlotSubscription final : public Subscription {
 public:
  SlotSubscription(std::shared_ptr<MemoryCache> cache, Selectors selectors, Interest interest,
                   std::shared_ptr<Slot> slot)
      : cache_(std::move(cache)),
        selectors_(std::move(selectors)),
        interest_(interest),
        slot_(std::move(slot)) {}
  ~SlotSubscription() override { cache_->Unsubscribe(selectors_, interest_, slot_); }

  const Selectors& selectors() const override { return selectors_; }
  std::shared_ptr<const WorkloadUpdate> Take() override {
    MutexLock lock(slot_->mu);
    if (!slot_->newest || (slot_->taken && SameUpdate(*slot_->taken, *slot_->newest))) {
      return nullptr;
    }
    slot_->taken = slot_->newest;
    return slot_->taken;
  }

 private:
  const std::shared_ptr<MemoryCache> cache_;
  const Selectors selectors_;
  const Interest interest_;
  const std::shared_ptr<Slot> slot_;
};

void MemoryCache::NoteExpiry(const HeldEntry& held) {
  if (held.shelved) next_expiry_ = std::min(next_expiry_, held.shelved->x509->not_after);
  // An entry is expired from the second after `expires_at` on (Entry::ExpiredAt).
  const int64_t end = held.packed.expires_at();
  if (end != 0 && !held.expired) {
    next_expiry_ = std::min(next_expiry_, FromUnixSeconds(end) + std::chrono::seconds(1));
  }
}

// Which groups want the entry's SVID; its selectors have just been indexed.
void MemoryCache::CountDemand(HeldEntry& held, std::set<Group*>& affected) {
  std::set<Group*> groups;
  index_.CollectGroups(held, groups);
  held.demand = static_cast<uint32_t>(
      std::ranges::count_if(groups, [](const Group* group) { return group->x509_slots > 0; }));
  affected.merge(groups);
}

void MemoryCache::SetExpired(HeldEntry& held, bool expired) {
  if (held.expired == expired) return;
  held.expired = expired;
  expired ? ++expired_count_ : --expired_count_;
}

// The map's key is a view of the entry's text, so it goes with the entry.
HeldEntry& MemoryCache::Replace(std::string_view id, PackedEntry entry,
                                std::set<Group*>& affected) {
  auto node = entries_.extract(id);
  HeldEntry& held = node.mapped();
  index_.CollectGroups(held, affected);
  index_.Remove(&held);
  jwts_.DropEntry(std::string(id));
  if (held.packed.spiffe_id() != entry.spiffe_id()) shelf_.SetX509(&held, nullptr);
  shelf_.RenewNow(&held);  // served on with the SVID at hand until the new one is here
  held.packed = std::move(entry);
  node.key() = held.packed.id();
  return entries_.insert(std::move(node)).position->second;
}

void MemoryCache::Put(PackedEntry entry, std::set<Group*>& affected) {
  const std::string_view id = entry.id();  // in the block, wherever its owner goes
  auto at = entries_.find(id);
  if (at != entries_.end() && at->second.packed == entry) return;
  HeldEntry& held = at == entries_.end() ? entries_.try_emplace(id, std::move(entry)).first->second
                                         : Replace(id, std::move(entry), affected);
  SetExpired(held, held.packed.ExpiredAt(clock_->Now()));
  index_.Add(&held);
  CountDemand(held, affected);
  shelf_.Refile(&held);
  NoteExpiry(held);
}

void MemoryCache::Remove(const std::string& entry_id, std::set<Group*>& affected) {
  auto at = entries_.find(entry_id);
  if (at == entries_.end()) return;
  HeldEntry& held = at->second;
  SetExpired(held, false);
  index_.CollectGroups(held, affected);
  index_.Remove(&held);
  shelf_.Remove(&held);
  jwts_.DropEntry(entry_id);
  entries_.erase(at);
}

void MemoryCache::Shrink(std::set<Group*>& affected) {
  for (const HeldEntry* held : shelf_.Shrink()) index_.CollectGroups(*held, affected);
}

// Once for each authority that becomes tainted: a server that goes on signing with it is not asked
// again and again.
void MemoryCache::TakeBundle(std::shared_ptr<const Bundle> bundle) {
  std::set<std::string> tainted = TaintedKeyIds(*bundle);
  if (bundle_) {
    for (const std::string& id : TaintedKeyIds(*bundle_)) tainted.erase(id);
  }
  if (!tainted.empty()) shelf_.RenewSignedBy(tainted);
  jwts_.DropUnless([&bundle](const HeldJwt& jwt) { return IsTrusted(*bundle, jwt); });
  bundle_ = std::move(bundle);
}

void MemoryCache::Apply(CacheChange change) {
  Slots to_notify;
  {
    MutexLock lock(mu_);
    std::set<Group*> affected;
    bool concerns_all = !synced_;
    synced_ = true;
    if (change.bundle) {
      concerns_all |= !SameBundle(bundle_, change.bundle);
      TakeBundle(std::move(change.bundle));
    }
    for (const std::string& id : change.removed) Remove(id, affected);
    for (PackedEntry& entry : change.put) Put(std::move(entry), affected);
    for (auto& [id, x509] : change.x509) {
      auto at = entries_.find(id);
      if (at == entries_.end()) continue;
      shelf_.SetX509(&at->second, std::move(x509));
      index_.CollectGroups(at->second, affected);
      NoteExpiry(at->second);
    }
    Shrink(affected);
    if (concerns_all) {
      for (auto& [selectors, group] : groups_) affected.insert(&group);
    }
    Recompute(affected, to_notify);
  }
  Notify(to_notify);
}

bool MemoryCache::ExpireEntry(HeldEntry& held, Time now) {
  bool changed = false;
  if (held.shelved && held.shelved->x509->not_after <= now) {
    shelf_.SetX509(&held, nullptr);
    changed = true;
  }
  // Both ways: the wall clock may have been set back.
  if (held.expired != held.packed.ExpiredAt(now)) {
    SetExpired(held, !held.expired);
    if (held.expired) jwts_.DropEntry(std::string(held.packed.id()));
    shelf_.Refile(&held);
    changed = true;
  }
  return changed;
}

Time MemoryCache::DropExpired() {
  Slots to_notify;
  Time next;
  {
    MutexLock lock(mu_);
    Time now = clock_->Now();
    jwts_.DropExpired(now);
    if (now >= next_expiry_ || now < last_expiry_check_) {
      std::set<Group*> affected;
      next_expiry_ = Time::max();
      for (auto& [id, held] : entries_) {
        if (ExpireEntry(held, now)) index_.CollectGroups(held, affected);
        NoteExpiry(held);
      }
      Recompute(affected, to_notify);
    }
    last_expiry_check_ = now;
    next = next_expiry_;
  }
  Notify(to_notify);
  return next;
}

bool MemoryCache::HoldsEnded() const {
  MutexLock lock(mu_);
  return expired_count_ > 0;
}

std::shared_ptr<const WorkloadUpdate> MemoryCache::Compute(const Selectors& selectors) const {
  auto update = std::make_shared<WorkloadUpdate>();
  if (!synced_) return update;
  update->bundle = bundle_;
  for (const HeldEntry* held : index_.Match(selectors)) {
    if (held->expired || held->packed.store_svid()) continue;
    update->identities.push_back(
        Identity{std::make_shared<const Entry>(held->packed.Unpack()), held->x509()});
  }
  KeepHintsUnique(update->identities);
  std::ranges::sort(update->identities, {},
                    [](const Identity& identity) { return std::string_view(identity.entry->id); });
  update->state = update->identities.empty() ? State::kNoIdentity : State::kReady;
  for (const Identity& identity : update->identities) {
    if (!identity.x509) update->state = State::kPending;
  }
  return update;
}

void MemoryCache::Recompute(const std::set<Group*>& affected, Slots& to_notify) {
  for (Group* group : affected) {
    std::shared_ptr<const WorkloadUpdate> update = Compute(*group->selectors);
    bool changed = !SameUpdate(*group->update, *update);
    group->update = update;  // also when it looks the same: entries may differ in what is not seen
    for (const std::shared_ptr<Slot>& slot : group->slots) {
      if (Offer(*slot, update) && changed) to_notify.push_back(slot);
    }
  }
}

std::vector<X509Want> WantsOf(const auto& entries) {
  std::vector<X509Want> wants;
  for (const HeldEntry* held : entries) {
    wants.push_back(X509Want{std::string(held->packed.id()), held->packed.spiffe_id()});
  }
  return wants;
}

std::vector<X509Want> MemoryCache::Wanted() {
  MutexLock lock(mu_);
  return WantsOf(shelf_.Wanted(clock_->Now()));
}

std::vector<X509Want> MemoryCache::Urgent() {
  MutexLock lock(mu_);
  return WantsOf(shelf_.Urgent());
}

Time MemoryCache::NextRenewal() const {
  MutexLock lock(mu_);
  return shelf_.NextRenewal();
}

Duration MemoryCache::PutOff(std::string_view entry_id, Duration pause) {
  MutexLock lock(mu_);
  const auto at = entries_.find(entry_id);
  return at == entries_.end() ? pause : shelf_.PutOff(&at->second, clock_->Now(), pause);
}

// Nobody who comes gets what has ended, whatever keeps the writer from taking it out.
void MemoryCache::DropWhatIsDue() {
  {
    MutexLock lock(mu_);
    if (clock_->Now() < next_expiry_) return;
  }
  DropExpired();
}

std::unique_ptr<Subscription> MemoryCache::Subscribe(Selectors selectors, Interest interest,
                                                     std::function<void()> notify) {
  DropWhatIsDue();
  auto slot = std::make_shared<Slot>();
  {
    MutexLock lock(slot->notify_mu);
    slot->notify = std::move(notify);
  }
  bool waits = false;
  {
    MutexLock lock(mu_);
    auto [at, is_new] = groups_.try_emplace(selectors);
    Group& group = at->second;
    if (is_new) {
      index_.AddGroup(&group, &at->first);
      group.update = Compute(selectors);
    }
    if (interest == Interest::kX509 && group.x509_slots++ == 0) {
      for (HeldEntry* held : index_.Match(selectors)) {
        shelf_.AddDemand(held);
        waits |= held->place == HeldEntry::Place::kAwaited;
      }
    }
    group.slots.insert(slot);
    Offer(*slot, group.update);
  }
  if (waits && awaited_) awaited_();
  return std::make_unique<SlotSubscription>(shared_from_this(), std::move(selectors), interest,
                                            slot);
}

void MemoryCache::Unsubscribe(const Selectors& selectors, Interest interest,
                              const std::shared_ptr<Slot>& slot) {
  {
    MutexLock lock(slot->notify_mu);
    slot->notify = nullptr;
  }
  Slots to_notify;
  {
    MutexLock lock(mu_);
    auto at = groups_.find(selectors);
    CHECK(at != groups_.end());
    Group& group = at->second;
    group.slots.erase(slot);
    const bool last_x509 = interest == Interest::kX509 && --group.x509_slots == 0;
    if (last_x509) {
      for (HeldEntry* held : index_.Match(selectors)) shelf_.DropDemand(held);
    }
    if (group.slots.empty()) {
      index_.RemoveGroup(&group);
      groups_.erase(at);
    }
    if (last_x509) {
      std::set<Group*> affected;
      Shrink(affected);
      Recompute(affected, to_notify);
    }
  }
  Notify(to_notify);
}

std::shared_ptr<const WorkloadUpdate> MemoryCache::Lookup(const Selectors& selectors) {
  DropWhatIsDue();
  MutexLock lock(mu_);
  auto at = groups_.find(selectors);
  if (at != groups_.end()) return at->second.update;
  return Compute(selectors);
}

std::shared_ptr<const Bundle> MemoryCache::CurrentBundle() const {
  MutexLock lock(mu_);
  return bundle_;
}

std::vector<PackedEntry> MemoryCache::Entries() const {
  MutexLock lock(mu_);
  std::vector<PackedEntry> entries;
  entries.reserve(entries_.size());
  for (const auto& [id, held] : entries_) entries.push_back(held.packed);
  return entries;
}

size_t MemoryCache::size() const {
  MutexLock lock(mu_);
  return entries_.size();
}

const PackedEntry* MemoryCache::Find(std::string_view id) const {
  MutexLock lock(mu_);
  auto at = entries_.find(id);
  return at == entries_.end() ? nullptr : &at->second.packed;
}

void MemoryCache::ForEach(const std::function<void(const PackedEntry&)>& visit) const {
  MutexLock lock(mu_);
  for (const auto& [id, held] : entries_) visit(held.packed);
}

CacheCounts MemoryCache::Counts() const {
  MutexLock lock(mu_);
  return {.entries = entries_.size(),
          .x509 = shelf_.held_count(),
          .jwt = jwts_.size(),
          .x509_given_up = shelf_.given_up_count(),
          .jwt_given_up = jwts_.given_up_count()};
}

bool MemoryCache::Holds(const Entry& entry) const {
  auto at = entries_.find(entry.id);
  return at != entries_.end() && at->second.packed == PackedEntry(entry);
}

std::optional<HeldJwt> MemoryCache::FindJwt(const Entry& entry,
                                            const std::vector<std::string>& audience) {
  MutexLock lock(mu_);
  if (!Holds(entry)) return std::nullopt;
  return jwts_.Find(entry.id, audience);
}

void MemoryCache::PutJwt(const Entry& entry, const std::vector<std::string>& audience,
                         HeldJwt jwt) {
  MutexLock lock(mu_);
  if (!Holds(entry)) return;
  // One of an authority that this bundle lacks: the next bundle will tell a new one from an old.
  const JwtAuthority* authority = bundle_ ? bundle_->FindJwt(jwt.key_id) : nullptr;
  if (authority != nullptr && authority->tainted) return;
  jwts_.Put(entry.id, audience, std::move(jwt));
}

}  // namespace

std::shared_ptr<Cache> Cache::Make(Clock* clock, CacheLimits limits) {
  return std::make_shared<MemoryCache>(clock, limits);
}

}  // namespace writ
