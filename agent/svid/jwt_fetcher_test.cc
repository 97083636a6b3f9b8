// SPDX-License-Identifier: Apache-2.0
#include "agent/svid/jwt_fetcher.h"

#include <atomic>
#include <cstring>

#include "agent/svid/token_fixture.h"

namespace writ {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

// The shortest pause within its tenth, each time; tells how many there were.
class ShortestPause final : public Random {
 public:
  void Fill(void* data, size_t size) override {
    std::memset(data, 0, size);
    ++drawn_;
    drawn_.notify_all();
  }
  // Until so many attempts were put off: when each is due is then settled.
  void Await(int count) {
    for (int seen = drawn_; seen < count; seen = drawn_) drawn_.wait(seen);
  }

 private:
  std::atomic<int> drawn_ = 0;
};
constexpr Duration kFirstPause = milliseconds(900);
constexpr Duration kSecondPause = milliseconds(1800);

// What a caller got, once it has.
class Reply {
 public:
  void Set(Result<HeldJwt> result) {
    MutexLock lock(mu_);
    EXPECT_FALSE(result_.has_value()) << "answered twice";
    result_ = std::move(result);
    answered_.NotifyAll();
  }
  Result<HeldJwt> Wait() {
    MutexLock lock(mu_);
    while (!result_) answered_.Wait(mu_);
    return *result_;
  }
  bool Answered() {
    MutexLock lock(mu_);
    return result_.has_value();
  }

 private:
  Mutex mu_;
  CondVar answered_;
  std::optional<Result<HeldJwt>> result_ GUARDED_BY(mu_);
};
using ReplyPtr = std::shared_ptr<Reply>;

class JwtFetcherTest : public TokenFixture {
 protected:
  void Make(size_t waiting_max = kJwtCallersWaitingMax) {
    fetcher_ = std::make_unique<JwtFetcher>(JwtFetcherOptions{.source = source_.get(),
                                                              .clock = &clock_,
                                                              .random = &pauses_,
                                                              .waiting_max = waiting_max});
  }
  JwtFetcherTest() { Make(); }

  ReplyPtr Fetch(const std::string& audience = "a", Duration within = seconds(30),
                 std::stop_token left = {}) {
    return FetchAs(1, audience, within, std::move(left));
  }
  // Of a user that has one process.
  ReplyPtr FetchAs(uid_t uid, const std::string& audience, Duration within = seconds(30),
                   std::stop_token left = {}) {
    auto reply = std::make_shared<Reply>();
    auto now = fetcher_->Fetch(std::make_shared<Entry>(entry_), {audience},
                               JwtCaller{.uid = uid,
                                         .pid = static_cast<pid_t>(uid),
                                         .deadline = clock_.Monotonic() + within,
                                         .left = std::move(left)},
                               [reply](Result<HeldJwt> jwt) { reply->Set(std::move(jwt)); });
    if (now) reply->Set(*std::move(now));
    return reply;
  }
  std::string Token(const ReplyPtr& reply) {
    Result<HeldJwt> jwt = reply->Wait();
    return jwt.ok() ? jwt->token : jwt.status().ToString();
  }
  // Every call takes until Release().
  void Hang() {
    server_.During([this] {
      ++in_call_;
      in_call_.notify_all();
      released_.wait(false);
    });
  }
  void AwaitCall() { in_call_.wait(0); }
  void Release() {
    released_ = true;
    released_.notify_all();
  }

  // Calls take until they are let through, one by one.
  void Gate() {
    server_.During([this] {
      MutexLock lock(gate_mu_);
      ++begun_;
      gate_.NotifyAll();
      while (let_through_ == 0) gate_.Wait(gate_mu_);
      --let_through_;
    });
  }
  void AwaitBegun(size_t calls) {
    MutexLock lock(gate_mu_);
    while (begun_ < calls) gate_.Wait(gate_mu_);
  }
  void LetThrough(size_t calls) {
    MutexLock lock(gate_mu_);
    let_through_ += calls;
    gate_.NotifyAll();
  }

  ShortestPause pauses_;
  std::atomic<int> in_call_ = 0;
  std::atomic<bool> released_ = false;
  Mutex gate_mu_;
  CondVar gate_;
  size_t begun_ GUARDED_BY(gate_mu_) = 0;
  size_t let_through_ GUARDED_BY(gate_mu_) = 0;
  std::unique_ptr<JwtFetcher> fetcher_;
};

TEST_F(JwtFetcherTest, GivesTheTokenAfterTwoFailures) {
  int put_off = 0;
  for (const Status& passing : {Unavailable("away"), ResourceExhausted("too many calls")}) {
    const int before = server_.calls();
    server_.Fail(passing, 2);
    const ReplyPtr reply = Fetch(passing.message());
    pauses_.Await(++put_off);
    clock_.Advance(kFirstPause - milliseconds(1));
    EXPECT_EQ(server_.calls(), before + 1);
    clock_.Advance(milliseconds(1));
    pauses_.Await(++put_off);
    EXPECT_EQ(server_.calls(), before + 2);
    EXPECT_FALSE(reply->Answered());
    clock_.Advance(kSecondPause);
    EXPECT_EQ(Token(reply), "t" + std::to_string(before + 3));
  }
}

TEST_F(JwtFetcherTest, TheDeadlineEndsItWithTheServersError) {
  server_.Fail(Unavailable("the server is away"));
  const ReplyPtr reply = Fetch("a", seconds(3));
  pauses_.Await(1);
  clock_.Advance(kFirstPause);
  pauses_.Await(2);
  clock_.Advance(kSecondPause);
  pauses_.Await(3);
  EXPECT_FALSE(reply->Answered());
  clock_.Advance(milliseconds(300));
  EXPECT_EQ(reply->Wait().code(), Code::kUnavailable);
  EXPECT_EQ(reply->Wait().status().message(), "the server is away");
  EXPECT_EQ(server_.calls(), 3);
}

TEST_F(JwtFetcherTest, PausesGrowUpToTheirLimit) {
  server_.Fail(Unavailable("away"), 6);
  const ReplyPtr reply = Fetch("a", minutes(1));
  Duration waited{};
  for (int failures = 1; failures <= 6; ++failures) {
    pauses_.Await(failures);
    const Duration pause =
        std::min(kFirstPause * (1 << (failures - 1)), kJwtRetryPauseMax * 9 / 10);
    clock_.Advance(pause);
    waited += pause;
  }
  EXPECT_EQ(Token(reply), "t7");
  EXPECT_EQ(waited, milliseconds(900 + 1800 + 3600 + 3 * 4500));
}

TEST_F(JwtFetcherTest, ARefusalIsTheAnswerAtOnce) {
  int calls = 0;
  for (const Status& refusal :
       {PermissionDenied("agent is not active"), InvalidArgument("no"), NotFound("no such entry"),
        Internal("broken"), Unimplemented("no"), Cancelled("the agent is stopping")}) {
    server_.Fail(refusal);
    EXPECT_EQ(Fetch()->Wait().code(), refusal.code());
    EXPECT_EQ(server_.calls(), ++calls);
  }
}

TEST_F(JwtFetcherTest, ARefusalEndsTheAttemptsToo) {
  server_.Fail(Unavailable("away"));
  const ReplyPtr reply = Fetch();
  pauses_.Await(1);
  server_.Fail(NotFound("no such entry"));
  clock_.Advance(kFirstPause);
  EXPECT_EQ(reply->Wait().code(), Code::kNotFound);
}

TEST_F(JwtFetcherTest, AValidTokenIsGivenOutAtOnceWhileTheServerIsAway) {
  EXPECT_EQ(Token(Fetch()), "t1");
  server_.Fail(Unavailable("away"));
  clock_.Advance(minutes(4));
  EXPECT_EQ(Token(Fetch()), "t1");
  EXPECT_EQ(server_.calls(), 2);
}

TEST_F(JwtFetcherTest, AValidTokenIsGivenOutSoonWhileCallsHang) {
  EXPECT_EQ(Token(Fetch()), "t1");
  clock_.Advance(minutes(4));
  Hang();
  const ReplyPtr reply = Fetch();
  AwaitCall();
  clock_.Advance(kJwtRefreshTimeout);
  EXPECT_EQ(Token(reply), "t1");
  Release();
}

TEST_F(JwtFetcherTest, ThoseWhoWaitHoldNoThread) {
  constexpr int kWaiting = 10 * kJwtFetchersCount;
  server_.Fail(Unavailable("away"));
  std::vector<ReplyPtr> waiting;
  for (int i = 0; i < kWaiting; ++i) waiting.push_back(Fetch("waiting " + std::to_string(i)));
  pauses_.Await(kWaiting);
  server_.Fail(OkStatus());
  EXPECT_TRUE(Fetch("another")->Wait().ok());
  EXPECT_FALSE(waiting[0]->Answered());
  clock_.Advance(kFirstPause);
  for (const ReplyPtr& reply : waiting) EXPECT_TRUE(reply->Wait().ok());
}

TEST_F(JwtFetcherTest, CallersOfOneTokenShareItsAttempts) {
  server_.Fail(Unavailable("away"), 1);
  Hang();
  std::vector<ReplyPtr> replies = {Fetch()};
  AwaitCall();
  for (int i = 0; i < 7; ++i) replies.push_back(Fetch());
  Release();
  pauses_.Await(1);
  replies.push_back(Fetch());
  clock_.Advance(seconds(1));
  for (const ReplyPtr& reply : replies) EXPECT_EQ(Token(reply), "t2");
  EXPECT_EQ(server_.calls(), 2);
}

TEST_F(JwtFetcherTest, OneWhoComesIntoALongPauseShortensIt) {
  server_.Fail(Unavailable("away"), 2);
  const ReplyPtr first = Fetch();
  pauses_.Await(1);
  clock_.Advance(kFirstPause);
  pauses_.Await(2);
  const ReplyPtr second = Fetch();
  clock_.Advance(kJwtRetryPauseMin);
  EXPECT_EQ(Token(first), "t3");
  EXPECT_EQ(Token(second), "t3");
}

TEST_F(JwtFetcherTest, OneWithLessTimeTakesNoneFromTheOthers) {
  Hang();
  const ReplyPtr hasty = Fetch("a", seconds(2));
  AwaitCall();
  const ReplyPtr patient = Fetch("a", seconds(20));
  clock_.Advance(seconds(2));
  EXPECT_EQ(hasty->Wait().code(), Code::kDeadlineExceeded);
  server_.Fail(DeadlineExceeded("no answer"), 1);
  Release();
  pauses_.Await(1);
  EXPECT_FALSE(patient->Answered());
  clock_.Advance(kFirstPause);
  EXPECT_EQ(Token(patient), "t2");
}

TEST_F(JwtFetcherTest, TokensWithAJtiAreNotShared) {
  entry_.jwt_svid_include_jti = true;
  Put(entry_);
  server_.Fail(Unavailable("away"), 2);
  const ReplyPtr first = Fetch();
  const ReplyPtr second = Fetch();
  pauses_.Await(2);
  clock_.Advance(kFirstPause);
  EXPECT_NE(Token(first), Token(second));
  EXPECT_EQ(server_.calls(), 4);
}

TEST_F(JwtFetcherTest, ACallerThatLeavesEndsItsWait) {
  server_.Fail(Unavailable("away"));
  std::stop_source left;
  const ReplyPtr reply = Fetch("a", seconds(30), left.get_token());
  pauses_.Await(1);
  left.request_stop();
  EXPECT_EQ(reply->Wait().code(), Code::kCancelled);
  // Nobody wants it any more: one who waits for another token sees the time of the next attempt.
  const ReplyPtr other = Fetch("b");
  pauses_.Await(2);
  clock_.Advance(kFirstPause);
  pauses_.Await(3);
  EXPECT_EQ(server_.calls(), 3);
  EXPECT_FALSE(other->Answered());
}

TEST_F(JwtFetcherTest, HowManyMayWaitIsBounded) {
  EXPECT_EQ(Token(Fetch("held")), "t1");
  clock_.Advance(minutes(4));
  Make(2);
  server_.Fail(Unavailable("away"));
  const ReplyPtr first = FetchAs(1, "a");
  const ReplyPtr second = FetchAs(2, "a");
  pauses_.Await(1);
  EXPECT_EQ(Token(Fetch("b")), Unavailable("the agent is busy: too many calls wait; call again")
                                   .ToString());
  EXPECT_EQ(Token(Fetch("held")), "t1");
  server_.Fail(OkStatus());
  clock_.Advance(kFirstPause);
  EXPECT_TRUE(first->Wait().ok());
  EXPECT_TRUE(second->Wait().ok());
  EXPECT_TRUE(Fetch("b")->Wait().ok());
}

TEST_F(JwtFetcherTest, OneProcessCannotTakeTheWaitsOfOthers) {
  constexpr int kShare = kJwtCallersWaitingMax / kProcessesPerPlaces;
  server_.Fail(Unavailable("away"));
  std::vector<ReplyPtr> flood;
  for (int i = 0; i < 1100; ++i) flood.push_back(FetchAs(1, "flood " + std::to_string(i)));
  const ReplyPtr other = FetchAs(2, "other");
  pauses_.Await(kShare + 1);
  EXPECT_FALSE(flood[kShare - 1]->Answered());
  for (int i = kShare; i < 1100; ++i) {
    ASSERT_TRUE(flood[i]->Answered()) << i;
    EXPECT_NE(Token(flood[i]).find("process 1 has its share of waits"), std::string::npos);
  }
  EXPECT_FALSE(other->Answered());
  server_.Fail(OkStatus());
  clock_.Advance(kFirstPause);
  EXPECT_TRUE(other->Wait().ok());
  for (int i = 0; i < kShare; ++i) EXPECT_TRUE(flood[i]->Wait().ok());
}

TEST_F(JwtFetcherTest, WhoComesIntoAFloodHasItsTurnFirst) {
  Gate();
  std::vector<ReplyPtr> flood;
  for (int i = 0; i < 100; ++i) flood.push_back(FetchAs(1, "flood " + std::to_string(i)));
  AwaitBegun(kJwtFetchersCount);
  const ReplyPtr other = FetchAs(2, "other");
  LetThrough(1);
  AwaitBegun(kJwtFetchersCount + 1);  // one of the flood's, whose turn it was
  LetThrough(1);
  AwaitBegun(kJwtFetchersCount + 2);
  EXPECT_EQ(server_.last_audience(), std::vector<std::string>{"other"});
  LetThrough(100);
  EXPECT_TRUE(other->Wait().ok());
  for (const ReplyPtr& reply : flood) EXPECT_TRUE(reply->Wait().ok());
}

TEST_F(JwtFetcherTest, WhoLeavesTheLineMakesRoomInIt) {
  Gate();
  std::vector<ReplyPtr> running;
  for (size_t i = 0; i < kJwtFetchersCount; ++i) running.push_back(Fetch(std::to_string(i)));
  AwaitBegun(kJwtFetchersCount);
  for (int i = 0; i < 300; ++i) {
    std::stop_source left;
    const ReplyPtr reply = Fetch("left " + std::to_string(i), seconds(30), left.get_token());
    left.request_stop();
    EXPECT_EQ(reply->Wait().code(), Code::kCancelled);
  }
  const ReplyPtr last = Fetch("last");
  LetThrough(kJwtFetchersCount + 1);
  EXPECT_TRUE(last->Wait().ok());
  EXPECT_EQ(server_.calls(), static_cast<int>(kJwtFetchersCount) + 1);
}

TEST_F(JwtFetcherTest, StopAnswersAllWhoWait) {
  server_.Fail(Unavailable("away"), 1);
  const ReplyPtr pausing = Fetch("a");
  pauses_.Await(1);
  Hang();
  const ReplyPtr in_call = Fetch("b");
  AwaitCall();
  fetcher_->Stop(Unavailable("stopping"));
  EXPECT_EQ(pausing->Wait().status().message(), "stopping");
  EXPECT_EQ(in_call->Wait().status().message(), "stopping");
  EXPECT_EQ(Fetch("c")->Wait().status().message(), "stopping");
  EXPECT_EQ(server_.calls(), 2);
  Release();
}

TEST_F(JwtFetcherTest, ItsEndAnswersAllWhoWait) {
  server_.Fail(Unavailable("away"));
  const ReplyPtr reply = Fetch();
  pauses_.Await(1);
  fetcher_.reset();
  EXPECT_EQ(reply->Wait().code(), Code::kUnavailable);
}

}  // namespace
}  // namespace writ
