// SPDX-License-Identifier: Apache-2.0
//
// AttesterLane: work that waits for a thread, where each local user has a turn and within a user
// each process (as in FairLine), and a user has some of the threads at most: what one does that
// takes long leaves threads to the others.
//
// Threads: guarded by whoever holds it.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "core/base/fair_line.h"

namespace writ {

template <typename Item>
class AttesterLane {
 public:
  AttesterLane(size_t threads_max, size_t threads_of_user_max)
      : threads_max_(threads_max), threads_of_user_max_(threads_of_user_max) {}

  void Push(uid_t uid, pid_t pid, Item item) {
    User& user = users_[uid];
    user.waiting.Push(pid, item);
    Enter(uid, user);
  }
  // The next that may run, and does from now on; nothing when none may.
  std::optional<Item> Start() {
    if (running_ >= threads_max_ || order_.empty()) return std::nullopt;
    const uid_t uid = order_.front();
    order_.pop_front();
    User& user = users_.at(uid);
    user.in_order = false;
    ++running_;
    ++user.running;
    Item item = user.waiting.Pop();
    Enter(uid, user);
    return item;
  }
  // One of the user's has run.
  void End(uid_t uid) {
    User& user = users_.at(uid);
    --running_;
    --user.running;
    Enter(uid, user);
    Forget(uid);
  }
  // Takes all that wait.
  std::vector<Item> Drain() {
    std::vector<Item> items;
    for (const uid_t uid : UsersWhoWait()) {
      User& user = users_.at(uid);
      while (!user.waiting.Empty()) items.push_back(user.waiting.Pop());
      user.in_order = false;
      Forget(uid);
    }
    order_.clear();
    return items;
  }

 private:
  struct User {
    Turns<pid_t, PlainLine<Item>> waiting;
    size_t running = 0;
    bool in_order = false;
  };

  void Enter(uid_t uid, User& user) {
    if (user.in_order || user.waiting.Empty() || user.running >= threads_of_user_max_) return;
    user.in_order = true;
    order_.push_back(uid);
  }
  void Forget(uid_t uid) {
    const auto at = users_.find(uid);
    if (at->second.running == 0 && at->second.waiting.Empty()) users_.erase(at);
  }
  std::vector<uid_t> UsersWhoWait() const {
    std::vector<uid_t> users;
    for (const auto& [uid, user] : users_) {
      if (!user.waiting.Empty()) users.push_back(uid);
    }
    return users;
  }

  const size_t threads_max_;
  const size_t threads_of_user_max_;
  size_t running_ = 0;
  std::map<uid_t, User> users_;  // those who have something that waits or runs
  std::deque<uid_t> order_;      // those of them who have a turn, the next first
};

}  // namespace writ
