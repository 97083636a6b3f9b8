// SPDX-License-Identifier: Apache-2.0
//
// FeedIndex: the agents that follow, by ID and by selector: whom a change concerns is looked up,
// not searched for among all.
//
// Threads: as its owner.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "server/entry/feed_queue.h"
#include "server/entry/selector_pool.h"

namespace writ {

class FeedIndex {
 public:
  using Feeds = std::vector<std::shared_ptr<FeedQueue>>;

  explicit FeedIndex(SelectorPool& pool) : pool_(pool) {}
  ~FeedIndex();
  FeedIndex(const FeedIndex&) = delete;
  FeedIndex& operator=(const FeedIndex&) = delete;

  bool empty() const { return agents_.empty(); }
  size_t CountOf(std::string_view agent_id) const;
  // `selectors`: the agent's, as SetSelectors() will keep them.
  void Add(std::shared_ptr<FeedQueue> feed, const Selectors& selectors);
  void Remove(const FeedQueue& feed);
  void SetSelectors(std::string_view agent_id, const Selectors& selectors);

  // Appends to `feeds`, with repeats.
  void CollectAll(Feeds& feeds) const;
  void CollectOf(std::string_view agent_id, Feeds& feeds) const;
  // Of the agents that have all these selectors; none when there are none.
  void CollectWith(const SelectorPool::Set& selectors, Feeds& feeds) const;

 private:
  struct Follower {
    SelectorPool::Set selectors;
    Feeds feeds;
  };
  void Attach(const Follower* follower);
  void Detach(const Follower* follower);

  SelectorPool& pool_;
  std::unordered_map<std::string, Follower, TextHash, std::equal_to<>> agents_;
  std::unordered_map<const SelectorPool::Node*, std::unordered_set<const Follower*>> by_selector_;
};

}  // namespace writ
