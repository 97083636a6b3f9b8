// SPDX-License-Identifier: Apache-2.0
//
// The registry's feeds: whom a change concerns and which entries it reaches, when it happens; what
// that means for an agent, when the agent takes it.
//
// Why nothing is missed: an agent's entries are those that paths of entries lead down to from its
// ID and its aliases. When a commit gives it an entry or takes one away, some entry on a path
// changed. On the path that broke, the agent stands above that entry, and the other one below it,
// before the commit; on the path that came, after it. Both are looked at. An agent that was away
// hears of every change since its number. Of a path that broke meanwhile, take the lowest entry
// that changed: what is below the SPIFFE ID that it gave out when the agent went (the change
// remembers that) has stayed as it was and leads down to the entry still.
#include <algorithm>
#include <unordered_set>
#include <utility>

#include "server/entry/store_registry.h"

namespace writ {
namespace {

// Whether an agent's authorizations are others now: it has other selectors, or none.
bool IsAnother(const Change& agent) {
  return agent.kind == ChangeKind::kAgentDeleted || agent.moved_from.has_value();
}

class StoreAgentFeed final : public AgentFeed {
 public:
  StoreAgentFeed(StoreRegistry* registry, SpiffeId agent, std::shared_ptr<FeedQueue> queue,
                 uint64_t position)
      : registry_(registry),
        agent_(std::move(agent)),
        queue_(std::move(queue)),
        position_(position) {}
  ~StoreAgentFeed() override { registry_->EndFeed(*queue_); }

  Told Take(Time now, size_t entries_max) override;

 private:
  Told Resync(uint64_t followed, Time now);

  StoreRegistry* const registry_;  // borrowed
  const SpiffeId agent_;
  const std::shared_ptr<FeedQueue> queue_;
  uint64_t position_;                     // what was taken
  std::shared_ptr<const FeedNote> open_;  // being told; null: none
  size_t open_next_ = 0;                  // in its reach
  Time next_end_{};                       // of an alias; epoch: not asked yet
};

Told StoreAgentFeed::Resync(uint64_t followed, Time now) {
  open_ = nullptr;
  open_next_ = 0;
  queue_->Forget();
  position_ = std::max(position_, followed);
  next_end_ = registry_->EndsOf(agent_, now).next;
  return Told{.sequence = position_, .resync = true, .again_at = next_end_};
}

// The queue holds everything up to `followed`, which is therefore read first.
Told StoreAgentFeed::Take(Time now, size_t entries_max) {
  registry_->CatchUp();
  const uint64_t followed = registry_->followed();
  // At the first time: what ended by itself since the agent's number is not in the sequence.
  const bool begins = next_end_ == Time{};
  const StoreRegistry::Ends ends =
      begins ? registry_->EndsOf(agent_, now) : StoreRegistry::Ends{next_end_, now >= next_end_};
  if (queue_->TakeResync() || ends.some_ended) return Resync(followed, now);
  next_end_ = ends.next;
  Told told;
  while (told.put.size() + told.gone.size() < entries_max) {
    if (!open_) open_ = queue_->Pop();
    if (!open_) break;
    if (open_->resync) return Resync(followed, now);
    if (open_next_ == 0) {
      told.bundle_change = std::max(told.bundle_change, open_->bundle_change);
      if (open_->moved) next_end_ = registry_->EndsOf(agent_, now).next;
    }
    const size_t room = entries_max - told.put.size() - told.gone.size();
    const size_t count = std::min(room, open_->reach.size() - open_next_);
    registry_->Tell(agent_, std::span(open_->reach).subspan(open_next_, count), now, &told);
    open_next_ += count;
    if (open_next_ < open_->reach.size()) break;
    position_ = std::max(position_, open_->sequence);
    open_ = nullptr;
    open_next_ = 0;
  }
  told.more = open_ != nullptr || !queue_->Empty();
  if (!told.more) position_ = std::max(position_, followed);
  told.sequence = position_;
  told.again_at = next_end_;
  return told;
}

}  // namespace

// ---- what a feed asks ---------------------------------------------------------------------------

StoreRegistry::Ends StoreRegistry::EndsOf(const SpiffeId& agent, Time now) const {
  ReaderLock lock(mu_);
  const EntryIndex::AliasEnds ends =
      entries_.AliasEndsOf(agents_.SelectorsOf(agent.text()), ToUnixSeconds(now));
  // As ExpiredAt() has it.
  return {ends.next == 0 ? Time::max() : FromUnixSeconds(ends.next + 1), ends.some_ended};
}

void StoreRegistry::Tell(const SpiffeId& agent, std::span<const std::string> ids, Time now,
                         Told* told) const {
  ReaderLock lock(mu_);
  const SelectorPool::Set& selectors = agents_.SelectorsOf(agent.text());
  for (const std::string& id : ids) {
    std::optional<Entry> entry = entries_.AuthorizedEntry(agent, selectors, id, ToUnixSeconds(now));
    if (entry) {
      told->put.push_back(std::move(*entry));
    } else {
      told->gone.push_back(id);
    }
  }
}

void StoreRegistry::EndFeed(FeedQueue& feed) {
  feed.End();
  WriterLock lock(mu_);
  feeds_.Remove(feed);
}

// ---- beginning to follow ------------------------------------------------------------------------

// Most of the past is read first, so that writers wait only while the rest is.
Result<std::unique_ptr<AgentFeed>> StoreRegistry::Follow(const SpiffeId& agent, uint64_t after,
                                                         std::function<void()> notify) {
  CatchUp();
  std::vector<Change> past;
  bool known = after != 0 && TRY(ReadPast(after, followed_, past));
  MutexLock follow(follow_mu_);
  const uint64_t begin = followed_;
  const uint64_t read = past.empty() ? after : past.back().sequence;
  known = known && !behind_ && begin - after <= kFeedMissedMax && TRY(ReadPast(read, begin, past));

  auto queue = std::make_shared<FeedQueue>(agent.text(), std::move(notify));
  WriterLock lock(mu_);
  if (feeds_.CountOf(agent.text()) >= kFeedsPerAgentMax) {
    return ResourceExhausted("the agent follows with " + std::to_string(kFeedsPerAgentMax) +
                             " streams already");
  }
  if (!known) {
    queue->Resync();
  } else if (!past.empty()) {
    queue->Push(std::make_shared<const FeedNote>(NoteOfPast(agent, past)));
  }
  feeds_.Add(queue, SelectorPool::Read(agents_.SelectorsOf(agent.text())));
  return std::unique_ptr<AgentFeed>(
      std::make_unique<StoreAgentFeed>(this, agent, queue, known ? after : begin));
}

Result<bool> StoreRegistry::ReadPast(uint64_t after, uint64_t until, std::vector<Change>& past) {
  if (after == until) return true;
  if (after > until || until - after > kFeedMissedMax) return false;
  Result<std::vector<Change>> changes = store_.changes().Since(after, until - after);
  if (changes.code() == Code::kOutOfRange) return false;
  if (!changes.ok()) return changes.status().Annotate("read what the agent has missed");
  past.insert(past.end(), std::make_move_iterator(changes->begin()),
              std::make_move_iterator(changes->end()));
  return true;
}

// Every entry's change counts: whose the entry was is not known any more.
FeedNote StoreRegistry::NoteOfPast(const SpiffeId& agent, const std::vector<Change>& past) const {
  FeedNote note{.sequence = past.back().sequence};
  std::unordered_set<std::string> reach;
  for (const Change& change : past) {
    switch (change.kind) {
      case ChangeKind::kEntryPut:
      case ChangeKind::kEntryDeleted:
        note.resync |= !CollectReach(change, reach);
        break;
      case ChangeKind::kAgentPut:
      case ChangeKind::kAgentDeleted:
        note.resync |= change.id == agent.text() && IsAnother(change);
        break;
      case ChangeKind::kBundle:
        if (change.id == td_.name()) note.bundle_change = change.sequence;
        break;
    }
  }
  note.reach.assign(reach.begin(), reach.end());
  return note;
}

// ---- telling ------------------------------------------------------------------------------------

bool StoreRegistry::CollectReach(const Change& change,
                                 std::unordered_set<std::string>& reach) const {
  const size_t size_max = reach.size() + kFeedReachMax;
  reach.insert(change.id);
  if (change.moved_from && !change.moved_from->empty()) {
    Result<SpiffeId> before = SpiffeId::Parse(*change.moved_from);
    if (!before.ok() || !entries_.CollectBelow(*before, size_max, reach)) return false;
  }
  // One that ends has perhaps ended, and what is below it with it.
  std::optional<Entry> entry = entries_.Get(change.id);
  const bool reaches = entry && (change.moved_from || entry->expires_at != 0);
  return !reaches || entries_.CollectBelow(entry->spiffe_id, size_max, reach);
}

void StoreRegistry::CollectEntry(const Change& change, Telling& telling) const {
  const EntryIndex::Ancestry ancestry = entries_.AncestryOf(change.id);
  for (const SpiffeId* id : ancestry.ids) feeds_.CollectOf(id->text(), telling.feeds);
  for (const SelectorPool::Set* alias : ancestry.aliases) {
    feeds_.CollectWith(*alias, telling.feeds);
  }
  telling.note.moved |= change.moved_from.has_value();
  telling.note.resync |= !CollectReach(change, telling.reach);
}

void StoreRegistry::Collect(const std::vector<Change>& changes,
                            std::vector<Telling>& tellings) const {
  ReaderLock lock(mu_);
  if (feeds_.empty()) return;
  for (size_t i = 0; i < changes.size(); ++i) {
    const Change& change = changes[i];
    Telling& telling = tellings[i];
    telling.note.sequence = change.sequence;
    switch (change.kind) {
      case ChangeKind::kEntryPut:
      case ChangeKind::kEntryDeleted:
        CollectEntry(change, telling);
        break;
      case ChangeKind::kAgentPut:
      case ChangeKind::kAgentDeleted:
        feeds_.CollectOf(change.id, telling.feeds);
        telling.note.resync = IsAnother(change);
        break;
      case ChangeKind::kBundle:
        if (change.id == td_.name()) feeds_.CollectAll(telling.feeds);
        telling.note.bundle_change = change.sequence;
        break;
    }
  }
}

// All changes are queued before the first feed is told, so that one Take() gets them.
void StoreRegistry::Deliver(std::vector<Telling> tellings) {
  std::unordered_set<FeedQueue*> told;
  for (Telling& telling : tellings) {
    FeedIndex::Feeds& feeds = telling.feeds;
    if (feeds.empty()) continue;
    std::ranges::sort(feeds);
    feeds.erase(std::unique(feeds.begin(), feeds.end()), feeds.end());
    telling.note.reach.assign(telling.reach.begin(), telling.reach.end());
    auto note = std::make_shared<const FeedNote>(std::move(telling.note));
    for (const std::shared_ptr<FeedQueue>& feed : feeds) {
      feed->Push(note);
      told.insert(feed.get());
    }
  }
  for (FeedQueue* feed : told) feed->Notify();
}

void StoreRegistry::ResyncAll() const {
  FeedIndex::Feeds feeds;
  {
    ReaderLock lock(mu_);
    feeds_.CollectAll(feeds);
  }
  for (const std::shared_ptr<FeedQueue>& feed : feeds) {
    feed->Resync();
    feed->Notify();
  }
}

}  // namespace writ
