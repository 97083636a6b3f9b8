// SPDX-License-Identifier: Apache-2.0
//
// What the tests of JWT-SVIDs share: a server that makes tokens, a cache, and one entry in it.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/svid/jwt_source.h"
#include "core/base/mutex.h"
#include "test/fake/fake_clock.h"
#include "test/fake/fake_log.h"

namespace writ {

// Tokens alone: "t1", "t2", ..., five minutes each.
class TokenServer final : public ServerApi {
 public:
  explicit TokenServer(Clock* clock) : clock_(clock) {}

  Result<ReceivedJwt> NewJwtSvid(const Entry&, const std::vector<std::string>& audience,
                                 MonoTime deadline) override {
    std::function<void()> during;
    {
      MutexLock lock(mu_);
      ++calls_;
      last_audience_ = audience;
      last_deadline_ = deadline;
      during = during_;
    }
    if (during) during();
    MutexLock lock(mu_);
    if (!failure_.ok() && failures_ > 0) {
      --failures_;
      return failure_;
    }
    return ReceivedJwt{"t" + std::to_string(calls_), "k", clock_->Now() - age_,
                       clock_->Now() - age_ + std::chrono::minutes(5)};
  }
  Result<AttestedAgent> Attest(const std::string&, NodeProver&, const std::string&) override {
    return Unimplemented("tokens alone");
  }
  Result<Bundle> FetchBundle(bool) override { return Unimplemented("tokens alone"); }
  Result<CertificateChain> Renew(const std::string&) override {
    return Unimplemented("tokens alone");
  }
  Status PostStatus(const std::string&) override { return Unimplemented("tokens alone"); }
  Result<EntryChanges> SyncEntries(const HeldEntries&) override {
    return Unimplemented("tokens alone");
  }
  Result<std::vector<Result<CertificateChain>>> NewX509Svids(
      const std::vector<SvidRequest>&) override {
    return Unimplemented("tokens alone");
  }
  Status Follow(uint64_t, const std::function<void(Notice)>&, std::stop_token) override {
    return Unimplemented("no notices");
  }
  void Reconnect() override {}

  // So many calls in a row fail, from now on.
  void Fail(Status failure, int times = std::numeric_limits<int>::max()) {
    MutexLock lock(mu_);
    failure_ = std::move(failure);
    failures_ = times;
  }
  // By the agent's clock its tokens are so old when they arrive.
  void Age(Duration age) {
    MutexLock lock(mu_);
    age_ = age;
  }
  void During(std::function<void()> during) {
    MutexLock lock(mu_);
    during_ = std::move(during);
  }
  int calls() {
    MutexLock lock(mu_);
    return calls_;
  }
  std::vector<std::string> last_audience() {
    MutexLock lock(mu_);
    return last_audience_;
  }
  MonoTime last_deadline() {
    MutexLock lock(mu_);
    return last_deadline_;
  }

 private:
  Clock* const clock_;
  Mutex mu_;
  int calls_ GUARDED_BY(mu_) = 0;
  Status failure_ GUARDED_BY(mu_);
  int failures_ GUARDED_BY(mu_) = 0;
  std::function<void()> during_ GUARDED_BY(mu_);
  Duration age_ GUARDED_BY(mu_) = Duration::zero();
  std::vector<std::string> last_audience_ GUARDED_BY(mu_);
  MonoTime last_deadline_ GUARDED_BY(mu_);
};

class TokenFixture : public testing::Test {
 protected:
  TokenFixture() { Put(entry_); }
  void Put(const Entry& entry) {
    CacheChange change;
    change.put.push_back(entry);
    cache_->Apply(std::move(change));
  }

  FakeClock clock_;
  SeededRandom random_{1};
  FakeLog log_;
  std::shared_ptr<Cache> cache_ = Cache::Make(&clock_, {});
  TokenServer server_{&clock_};
  std::unique_ptr<JwtSource> source_ =
      MakeJwtSource(&server_, cache_.get(), &clock_, &random_, &log_);
  Entry entry_{.id = "e",
               .spiffe_id = *SpiffeId::Parse("spiffe://example.org/e"),
               .parent_id = *SpiffeId::Parse("spiffe://example.org/spire/agent/x"),
               .selectors = {{"unix", "uid:1"}}};
};

}  // namespace writ
