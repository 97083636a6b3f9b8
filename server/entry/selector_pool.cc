// SPDX-License-Identifier: Apache-2.0
#include "server/entry/selector_pool.h"

#include <algorithm>

#include "core/base/status.h"

namespace writ {

SelectorPool::Set SelectorPool::Acquire(const Selectors& selectors) {
  Set set;
  set.reserve(selectors.size());
  for (const Selector& selector : selectors) {
    auto it = nodes_.try_emplace(selector.text(), 0).first;
    ++it->second;
    set.push_back(&*it);
  }
  std::ranges::sort(set);
  return set;
}

void SelectorPool::Release(const Set& set) {
  for (const Node* node : set) {
    auto it = nodes_.find(node->first);
    CHECK(it != nodes_.end());
    if (--it->second == 0) nodes_.erase(it);
  }
}

SelectorPool::Set SelectorPool::Find(const Selectors& selectors, bool* all_known) const {
  Set set;
  for (const Selector& selector : selectors) {
    if (auto it = nodes_.find(selector.text()); it != nodes_.end()) set.push_back(&*it);
  }
  *all_known = set.size() == selectors.size();
  std::ranges::sort(set);
  return set;
}

// A type holds no ':', so the first one is where the value begins.
Selectors SelectorPool::Read(const Set& set) {
  std::vector<Selector> selectors;
  selectors.reserve(set.size());
  for (const Node* node : set) {
    const size_t colon = node->first.find(':');
    selectors.push_back({node->first.substr(0, colon), node->first.substr(colon + 1)});
  }
  return Selectors(std::move(selectors));
}

}  // namespace writ
