// SPDX-License-Identifier: Apache-2.0
//
// FairLine: a line in which each local user has a turn, then the next one, and within a user each
// process: a flood of one delays the others by an item or so. (By process alone, a user would get
// turns by forking.) Of one process, first come is first served.
//
// Threads: guarded by whoever holds it.
#pragma once

#include <sys/types.h>

#include <algorithm>
#include <deque>
#include <map>

namespace writ {

// Turns of those who have something in line; Line is that of one of them.
template <typename Key, typename Line>
class Turns {
 public:
  template <typename... Rest>
  void Push(Key key, Rest... rest) {
    const auto [at, is_new] = lines_.try_emplace(key);
    if (is_new) order_.push_back(key);
    at->second.Push(rest...);
  }
  // There must be one.
  auto Pop() {
    const Key key = order_.front();
    order_.pop_front();
    const auto at = lines_.find(key);
    auto item = at->second.Pop();
    if (at->second.Empty()) {
      lines_.erase(at);
    } else {
      order_.push_back(key);
    }
    return item;
  }
  // Nothing happens when it is in no line.
  template <typename... Rest>
  void Remove(Key key, Rest... rest) {
    const auto at = lines_.find(key);
    if (at == lines_.end()) return;
    at->second.Remove(rest...);
    if (!at->second.Empty()) return;
    lines_.erase(at);
    std::erase(order_, key);
  }
  bool Empty() const { return order_.empty(); }

 private:
  std::map<Key, Line> lines_;  // none is empty
  std::deque<Key> order_;      // its keys; whose turn is next first
};

template <typename Item>
class PlainLine {
 public:
  void Push(Item item) { items_.push_back(item); }
  Item Pop() {
    const Item item = items_.front();
    items_.pop_front();
    return item;
  }
  void Remove(Item item) { std::erase(items_, item); }
  bool Empty() const { return items_.empty(); }

 private:
  std::deque<Item> items_;
};

// Push(uid, pid, item), Pop(), Remove(uid, pid, item), Empty().
template <typename Item>
using FairLine = Turns<uid_t, Turns<pid_t, PlainLine<Item>>>;

}  // namespace writ
