// SPDX-License-Identifier: Apache-2.0
#include "core/base/fair_places.h"

namespace writ {
namespace {

template <typename Key>
size_t CountOf(const std::map<Key, size_t>& counts, Key key) {
  const auto at = counts.find(key);
  return at == counts.end() ? 0 : at->second;
}

template <typename Key>
void Decrease(std::map<Key, size_t>& counts, Key key) {
  const auto at = counts.find(key);
  if (--at->second == 0) counts.erase(at);
}

}  // namespace

Status FairPlaces::Take(uid_t uid, pid_t pid) {
  if (taken_ >= places_max_) {
    return Unavailable("the agent is busy: too many calls wait; call again");
  }
  const size_t of_process = CountOf(by_process_, pid);
  if (of_process >= process_max_) {
    return ShareUsedUp("process " + std::to_string(pid), of_process);
  }
  const size_t of_user = CountOf(by_user_, uid);
  if (of_user >= places_max_ - taken_) {
    return ShareUsedUp("the user with uid " + std::to_string(uid), of_user);
  }
  ++taken_;
  ++by_process_[pid];
  ++by_user_[uid];
  return OkStatus();
}

Status FairPlaces::ShareUsedUp(const std::string& who, size_t taken) const {
  return Unavailable("the agent is busy: " + who + " has its share of " + what_ + " already (" +
                     std::to_string(taken) + "); call again when some of them are answered");
}

void FairPlaces::Leave(uid_t uid, pid_t pid) {
  --taken_;
  Decrease(by_process_, pid);
  Decrease(by_user_, uid);
}

}  // namespace writ
