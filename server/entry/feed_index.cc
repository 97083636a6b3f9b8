// SPDX-License-Identifier: Apache-2.0
#include "server/entry/feed_index.h"

#include <algorithm>

#include "core/base/status.h"

namespace writ {

// The selectors' uses are given back to the pool, which outlives the index.
FeedIndex::~FeedIndex() {
  for (auto& [id, follower] : agents_) pool_.Release(follower.selectors);
}

size_t FeedIndex::CountOf(std::string_view agent_id) const {
  auto it = agents_.find(agent_id);
  return it == agents_.end() ? 0 : it->second.feeds.size();
}

void FeedIndex::Add(std::shared_ptr<FeedQueue> feed, const Selectors& selectors) {
  auto [it, is_new] = agents_.try_emplace(feed->agent_id());
  Follower& follower = it->second;
  follower.feeds.push_back(std::move(feed));
  if (!is_new) return;
  follower.selectors = pool_.Acquire(selectors);
  Attach(&follower);
}

void FeedIndex::Remove(const FeedQueue& feed) {
  auto it = agents_.find(feed.agent_id());
  CHECK(it != agents_.end());
  Follower& follower = it->second;
  std::erase_if(follower.feeds, [&](const auto& held) { return held.get() == &feed; });
  if (!follower.feeds.empty()) return;
  Detach(&follower);
  pool_.Release(follower.selectors);
  agents_.erase(it);
}

void FeedIndex::SetSelectors(std::string_view agent_id, const Selectors& selectors) {
  auto it = agents_.find(agent_id);
  if (it == agents_.end()) return;
  Follower& follower = it->second;
  Detach(&follower);
  pool_.Release(follower.selectors);
  follower.selectors = pool_.Acquire(selectors);
  Attach(&follower);
}

void FeedIndex::Attach(const Follower* follower) {
  for (const SelectorPool::Node* selector : follower->selectors) {
    by_selector_[selector].insert(follower);
  }
}

void FeedIndex::Detach(const Follower* follower) {
  for (const SelectorPool::Node* selector : follower->selectors) {
    auto it = by_selector_.find(selector);
    it->second.erase(follower);
    if (it->second.empty()) by_selector_.erase(it);
  }
}

void FeedIndex::CollectAll(Feeds& feeds) const {
  for (const auto& [id, follower] : agents_) {
    feeds.insert(feeds.end(), follower.feeds.begin(), follower.feeds.end());
  }
}

void FeedIndex::CollectOf(std::string_view agent_id, Feeds& feeds) const {
  auto it = agents_.find(agent_id);
  if (it == agents_.end()) return;
  feeds.insert(feeds.end(), it->second.feeds.begin(), it->second.feeds.end());
}

// Looks at the agents that have the rarest of the selectors.
void FeedIndex::CollectWith(const SelectorPool::Set& selectors, Feeds& feeds) const {
  const std::unordered_set<const Follower*>* fewest = nullptr;
  for (const SelectorPool::Node* selector : selectors) {
    auto it = by_selector_.find(selector);
    if (it == by_selector_.end()) return;
    if (fewest == nullptr || it->second.size() < fewest->size()) fewest = &it->second;
  }
  if (fewest == nullptr) return;
  for (const Follower* follower : *fewest) {
    if (!std::ranges::includes(follower->selectors, selectors)) continue;
    feeds.insert(feeds.end(), follower->feeds.begin(), follower->feeds.end());
  }
}

}  // namespace writ
