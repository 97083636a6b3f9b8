// SPDX-License-Identifier: Apache-2.0
//
// What the tests of the cache share.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/cache/cache.h"
#include "test/fake/fake_clock.h"

namespace writ {

inline Selector Uid(int uid) { return Selector{"unix", "uid:" + std::to_string(uid)}; }

inline Entry MakeEntry(const std::string& id, Selectors selectors) {
  return Entry{.id = id,
               .spiffe_id = *SpiffeId::Parse("spiffe://example.org/" + id),
               .parent_id = *SpiffeId::Parse("spiffe://example.org/spire/agent/x"),
               .selectors = std::move(selectors),
               .created_at = 1};
}

inline std::shared_ptr<const HeldX509> MakeX509(const std::string& name,
                                                Time not_after = Time::max()) {
  auto held = std::make_shared<HeldX509>();
  held->chain_der = name;
  held->key_pkcs8 = Secret(std::string("key"));
  held->not_after = not_after;
  held->renew_at = not_after;
  return held;
}

class CacheTest : public testing::Test {
 protected:
  // Puts an entry with its SVID.
  void PutReady(Entry entry) {
    CacheChange change;
    change.x509[entry.id] = MakeX509("svid of " + entry.id);
    change.put.push_back(std::move(entry));
    cache_->Apply(std::move(change));
  }
  void Remove(std::vector<std::string> ids) {
    CacheChange change;
    change.removed = std::move(ids);
    cache_->Apply(std::move(change));
  }
  std::unique_ptr<Subscription> Subscribe(Selectors selectors) {
    return cache_->Subscribe(std::move(selectors), Interest::kX509, [this] { ++notified_; });
  }

  std::vector<std::string> WantedIds() {
    std::vector<std::string> ids;
    for (const X509Want& want : cache_->Wanted()) ids.push_back(want.entry_id);
    return ids;
  }

  FakeClock clock_;
  std::shared_ptr<Cache> cache_ = Cache::Make(&clock_, {.jwt_max = 3});
  int notified_ = 0;
};

}  // namespace writ
