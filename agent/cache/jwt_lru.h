// SPDX-License-Identifier: Apache-2.0
//
// JwtLru: the JWT-SVIDs that are held, by entry ID and audiences; bounded, the least recently used
// goes first.
//
// Threads: not thread-safe; the cache's lock guards it.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/cache/cache.h"

namespace writ {

class JwtLru {
 public:
  explicit JwtLru(size_t size_max) : size_max_(size_max) {}

  std::optional<HeldJwt> Find(const std::string& entry_id,
                              const std::vector<std::string>& audience);
  void Put(const std::string& entry_id, const std::vector<std::string>& audience, HeldJwt jwt);
  void DropEntry(const std::string& entry_id);
  void DropExpired(Time now) {
    DropUnless([now](const HeldJwt& jwt) { return now < jwt.expires_at; });
  }
  void DropUnless(const std::function<bool(const HeldJwt&)>& keep);
  size_t size() const { return held_.size(); }
  uint64_t given_up_count() const { return given_up_; }

 private:
  using Key = std::pair<std::string, std::vector<std::string>>;
  struct Held {
    HeldJwt jwt;
    std::list<const Key*>::iterator use;
  };
  std::map<Key, Held>::iterator Drop(std::map<Key, Held>::iterator at);

  const size_t size_max_;
  uint64_t given_up_ = 0;  // to make room, ever
  std::map<Key, Held> held_;
  std::list<const Key*> uses_;  // the most recent first
};

}  // namespace writ
