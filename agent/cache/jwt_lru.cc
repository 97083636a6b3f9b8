// SPDX-License-Identifier: Apache-2.0
#include "agent/cache/jwt_lru.h"

namespace writ {

std::map<JwtLru::Key, JwtLru::Held>::iterator JwtLru::Drop(std::map<Key, Held>::iterator at) {
  uses_.erase(at->second.use);
  return held_.erase(at);
}

std::optional<HeldJwt> JwtLru::Find(const std::string& entry_id,
                                    const std::vector<std::string>& audience) {
  auto at = held_.find(Key(entry_id, audience));
  if (at == held_.end()) return std::nullopt;
  uses_.splice(uses_.begin(), uses_, at->second.use);
  return at->second.jwt;
}

void JwtLru::Put(const std::string& entry_id, const std::vector<std::string>& audience,
                 HeldJwt jwt) {
  if (size_max_ == 0) return;
  auto [at, is_new] = held_.try_emplace(Key(entry_id, audience));
  at->second.jwt = std::move(jwt);
  if (!is_new) {
    uses_.splice(uses_.begin(), uses_, at->second.use);
    return;
  }
  uses_.push_front(&at->first);
  at->second.use = uses_.begin();
  if (held_.size() <= size_max_) return;
  ++given_up_;
  Drop(held_.find(*uses_.back()));
}

void JwtLru::DropEntry(const std::string& entry_id) {
  auto at = held_.lower_bound(Key(entry_id, {}));
  while (at != held_.end() && at->first.first == entry_id) at = Drop(at);
}

void JwtLru::DropUnless(const std::function<bool(const HeldJwt&)>& keep) {
  for (auto at = held_.begin(); at != held_.end();) {
    at = keep(at->second.jwt) ? std::next(at) : Drop(at);
  }
}

}  // namespace writ
