// SPDX-License-Identifier: Apache-2.0
#include "agent/svid/jwt_source.h"

#include <gtest/gtest.h>

#include <atomic>

#include "core/base/thread.h"
#include "test/fake/fake_clock.h"
#include "test/fake/fake_log.h"

namespace writ {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

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
    if (!failure_.ok()) return failure_;
    return ReceivedJwt{"t" + std::to_string(calls_), "k", clock_->Now(),
                       clock_->Now() + minutes(5)};
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

  void Fail(Status failure) {
    MutexLock lock(mu_);
    failure_ = std::move(failure);
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
  std::function<void()> during_ GUARDED_BY(mu_);
  std::vector<std::string> last_audience_ GUARDED_BY(mu_);
  MonoTime last_deadline_ GUARDED_BY(mu_);
};

class JwtSourceTest : public testing::Test {
 protected:
  JwtSourceTest() { Put(entry_); }
  void Put(const Entry& entry) {
    CacheChange change;
    change.put.push_back(entry);
    cache_->Apply(std::move(change));
  }
  Result<HeldJwt> Fetch(std::vector<std::string> audience = {"a"}) {
    return source_->Fetch(entry_, std::move(audience), clock_.Monotonic() + minutes(1));
  }

  FakeClock clock_;
  FakeLog log_;
  std::shared_ptr<Cache> cache_ = Cache::Make(&clock_, {});
  TokenServer server_{&clock_};
  std::unique_ptr<JwtSource> source_ = MakeJwtSource(&server_, cache_.get(), &clock_, &log_);
  Entry entry_{.id = "e",
               .spiffe_id = *SpiffeId::Parse("spiffe://example.org/e"),
               .parent_id = *SpiffeId::Parse("spiffe://example.org/spire/agent/x"),
               .selectors = {{"unix", "uid:1"}}};
};

TEST_F(JwtSourceTest, ServesFromTheCacheUntilHalfLife) {
  EXPECT_EQ(Fetch()->token, "t1");
  clock_.Advance(seconds(149));
  EXPECT_EQ(Fetch()->token, "t1");
  clock_.Advance(seconds(2));
  EXPECT_EQ(Fetch()->token, "t2");
  EXPECT_EQ(Fetch()->token, "t2");
}

TEST_F(JwtSourceTest, OneTokenServesEveryOrderOfItsAudiencesAndKeepsTheFirst) {
  EXPECT_EQ(Fetch({"b", "a"})->token, "t1");
  EXPECT_EQ(server_.last_audience(), (std::vector<std::string>{"b", "a"}));
  EXPECT_EQ(Fetch({"a", "b"})->token, "t1");
  EXPECT_EQ(Fetch({"a"})->token, "t2");
}

TEST_F(JwtSourceTest, FallsBackOnAValidTokenWhenTheServerIsAway) {
  EXPECT_TRUE(Fetch().ok());
  server_.Fail(Unavailable("away"));
  clock_.Advance(minutes(4));
  EXPECT_EQ(Fetch()->token, "t1");
  EXPECT_EQ(server_.last_deadline(), clock_.Monotonic() + seconds(5));
  clock_.Advance(minutes(1));
  EXPECT_EQ(Fetch().code(), Code::kUnavailable);
  EXPECT_EQ(Fetch({"other"}).code(), Code::kUnavailable);
}

TEST_F(JwtSourceTest, TheServersRefusalOutweighsTheCache) {
  EXPECT_TRUE(Fetch().ok());
  clock_.Advance(minutes(4));
  server_.Fail(NotFound("no such entry"));
  EXPECT_EQ(Fetch().code(), Code::kNotFound);
}

TEST_F(JwtSourceTest, ADenialOfTheAgentIsNoDenialOfTheWorkload) {
  server_.Fail(PermissionDenied("agent is not active").WithReason(3));
  EXPECT_EQ(Fetch().code(), Code::kUnavailable);
  server_.Fail(OkStatus());
  EXPECT_TRUE(Fetch().ok());
  server_.Fail(PermissionDenied("agent is not active").WithReason(3));
  clock_.Advance(minutes(4));
  EXPECT_TRUE(Fetch().ok());
}

TEST_F(JwtSourceTest, TokensWithAJtiAreAlwaysFresh) {
  entry_.jwt_svid_include_jti = true;
  Put(entry_);
  EXPECT_EQ(Fetch()->token, "t1");
  EXPECT_EQ(Fetch()->token, "t2");
  EXPECT_FALSE(cache_->FindJwt(entry_, {"a"}).has_value());
}

TEST_F(JwtSourceTest, ConcurrentRequestsForOneTokenMakeOneCall) {
  constexpr int kCallers = 8;
  std::atomic<int> entered = 0;
  // The call answers once all the others have had their chance to ask.
  server_.During([&] {
    for (int n = entered; n < kCallers; n = entered) entered.wait(n);
  });
  std::atomic<int> same = 0;
  {
    std::vector<Thread> callers;
    for (int i = 0; i < kCallers; ++i) {
      callers.emplace_back("caller", [&](std::stop_token) {
        ++entered;
        entered.notify_all();
        Result<HeldJwt> jwt = Fetch();
        if (jwt.ok() && jwt->token == "t1") ++same;
      });
    }
  }
  EXPECT_EQ(same.load(), kCallers);
  EXPECT_EQ(server_.calls(), 1);
}

TEST_F(JwtSourceTest, OneWhoWaitsGivesUpAtItsOwnDeadline) {
  std::atomic<bool> in_call = false;
  std::atomic<bool> release = false;
  server_.During([&] {
    in_call = true;
    in_call.notify_all();
    release.wait(false);
  });
  Thread leader("leader", [&](std::stop_token) { EXPECT_TRUE(Fetch().ok()); });
  in_call.wait(false);
  EXPECT_EQ(source_->Fetch(entry_, {"a"}, clock_.Monotonic()).code(), Code::kDeadlineExceeded);
  release = true;
  release.notify_all();
  leader.Join();
}

}  // namespace
}  // namespace writ
