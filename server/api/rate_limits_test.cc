// SPDX-License-Identifier: Apache-2.0
#include "server/api/rate_limits.h"

#include <gtest/gtest.h>

#include <atomic>
#include <map>

#include "test/fake/fake_clock.h"

namespace writ {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// The answers that calls got, by their number.
class Answers {
 public:
  std::function<void(Status)> For(int call) {
    return [this, call](Status status) {
      MutexLock lock(mu_);
      order_.push_back(call);
      by_call_.emplace(call, std::move(status));
      came_.NotifyAll();
    };
  }
  Status Await(int call) {
    MutexLock lock(mu_);
    while (!by_call_.contains(call)) came_.Wait(mu_);
    return by_call_.at(call);
  }
  std::vector<int> Order() {
    MutexLock lock(mu_);
    return order_;
  }

 private:
  Mutex mu_;
  CondVar came_;
  std::map<int, Status> by_call_ GUARDED_BY(mu_);
  std::vector<int> order_ GUARDED_BY(mu_);
};

class RateLimitsTest : public ::testing::Test {
 protected:
  RateLimits::Ask Ask(RateClass rate, std::string address = "10.0.0.1", size_t count = 1) {
    return {
        .rate = rate, .address = std::move(address), .count = count, .gone = [] { return false; }};
  }
  // Passes at once?
  bool Passes(RateLimits& limits, RateLimits::Ask ask) {
    ask.deadline = clock_.Monotonic();
    std::optional<Status> answer = limits.Take(std::move(ask), [](Status) {});
    EXPECT_TRUE(answer.has_value());
    EXPECT_TRUE(answer->ok() || answer->code() == Code::kResourceExhausted);
    return answer->ok();
  }

  FakeClock clock_;
  Answers answers_;
};

TEST_F(RateLimitsTest, ABurstOfOneSecondPassesAtOnceAndRefillsWithTime) {
  RateLimits limits({.signing = 4}, &clock_);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(Passes(limits, Ask(RateClass::kJwt)));
  EXPECT_FALSE(Passes(limits, Ask(RateClass::kJwt)));
  clock_.Advance(milliseconds(250));
  EXPECT_TRUE(Passes(limits, Ask(RateClass::kJwt)));
  EXPECT_FALSE(Passes(limits, Ask(RateClass::kJwt)));
  clock_.Advance(seconds(100));
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(Passes(limits, Ask(RateClass::kJwt)));
  EXPECT_FALSE(Passes(limits, Ask(RateClass::kJwt)));
}

TEST_F(RateLimitsTest, EachClassAndEachAddressHasABucketOfItsOwn) {
  RateLimits limits({.attestation = 1, .signing = 2}, &clock_);
  for (RateClass rate : {RateClass::kX509, RateClass::kJwt, RateClass::kWit}) {
    for (const char* address : {"10.0.0.1", "10.0.0.2", "2001:db8::1"}) {
      EXPECT_TRUE(Passes(limits, Ask(rate, address, 2)));
      EXPECT_FALSE(Passes(limits, Ask(rate, address)));
    }
  }
  EXPECT_TRUE(Passes(limits, Ask(RateClass::kAttestation)));
  EXPECT_FALSE(Passes(limits, Ask(RateClass::kAttestation)));
  EXPECT_TRUE(Passes(limits, Ask(RateClass::kPublish, "10.0.0.1", 500)));
  EXPECT_FALSE(Passes(limits, Ask(RateClass::kPublish)));
  EXPECT_TRUE(Passes(limits, Ask(RateClass::kPostStatus, "10.0.0.1", 10)));
  EXPECT_FALSE(Passes(limits, Ask(RateClass::kPostStatus)));
}

TEST_F(RateLimitsTest, ABatchCountsItsItemsAndMayNotExceedTheBurst) {
  RateLimits limits({}, &clock_);
  std::optional<Status> answer = limits.Take(Ask(RateClass::kX509, "10.0.0.1", 501), [](Status) {});
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->code(), Code::kResourceExhausted);
  EXPECT_EQ(answer->message(), "rate (501) exceeds burst size (500): send fewer at once");
  EXPECT_TRUE(Passes(limits, Ask(RateClass::kX509, "10.0.0.1", 500)));
  EXPECT_TRUE(Passes(limits, Ask(RateClass::kX509, "10.0.0.1", 0)));  // refused for another reason
  EXPECT_FALSE(Passes(limits, Ask(RateClass::kX509)));
}

TEST_F(RateLimitsTest, ZeroIsOff) {
  RateLimits limits({.attestation = 0, .signing = 0}, &clock_);
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(Passes(limits, Ask(RateClass::kAttestation)));
    EXPECT_TRUE(Passes(limits, Ask(RateClass::kX509, "10.0.0.1", 100'000)));
  }
  EXPECT_EQ(limits.Size(), 0u);
}

TEST_F(RateLimitsTest, CallsAboveTheBurstGetTheirTurnsInOrder) {
  RateLimits limits({}, &clock_);
  EXPECT_TRUE(Passes(limits, Ask(RateClass::kAttestation)));
  for (int call = 1; call <= 3; ++call) {
    EXPECT_FALSE(limits.Take(Ask(RateClass::kAttestation), answers_.For(call)).has_value());
  }
  EXPECT_TRUE(Passes(limits, Ask(RateClass::kAttestation, "10.0.0.2")));  // others do not wait
  for (int call = 1; call <= 3; ++call) {
    EXPECT_EQ(answers_.Order().size(), static_cast<size_t>(call - 1));
    clock_.Advance(seconds(1));
    EXPECT_TRUE(answers_.Await(call).ok());
  }
  EXPECT_EQ(answers_.Order(), (std::vector<int>{1, 2, 3}));
}

TEST_F(RateLimitsTest, ALargeBatchIsNotOvertaken) {
  RateLimits limits({.signing = 10}, &clock_);
  EXPECT_TRUE(Passes(limits, Ask(RateClass::kX509, "10.0.0.1", 5)));
  EXPECT_FALSE(limits.Take(Ask(RateClass::kX509, "10.0.0.1", 10), answers_.For(1)).has_value());
  EXPECT_FALSE(limits.Take(Ask(RateClass::kX509), answers_.For(2)).has_value());
  clock_.Advance(milliseconds(500));
  EXPECT_TRUE(answers_.Await(1).ok());
  clock_.Advance(milliseconds(100));
  EXPECT_TRUE(answers_.Await(2).ok());
  EXPECT_EQ(answers_.Order(), (std::vector<int>{1, 2}));
}

TEST_F(RateLimitsTest, ADeadlineThatCannotBeMetIsRefusedAtOnce) {
  RateLimits limits({}, &clock_);
  EXPECT_TRUE(Passes(limits, Ask(RateClass::kAttestation)));
  RateLimits::Ask soon = Ask(RateClass::kAttestation);
  soon.deadline = clock_.Monotonic() + seconds(1);
  EXPECT_FALSE(limits.Take(soon, answers_.For(1)).has_value());  // its turn is just in time
  std::optional<Status> late = limits.Take(soon, [](Status) {});
  ASSERT_TRUE(late.has_value());
  EXPECT_EQ(late->code(), Code::kResourceExhausted);
  EXPECT_EQ(late->message(),
            "the turn of this call comes after its deadline, in 2s: an address may have 1 per "
            "second");
}

TEST_F(RateLimitsTest, CallersThatLeftTakeNoTurn) {
  RateLimits limits({}, &clock_);
  EXPECT_TRUE(Passes(limits, Ask(RateClass::kAttestation)));
  std::atomic<bool> left = false;
  for (int call = 1; call <= 50; ++call) {
    RateLimits::Ask ask = Ask(RateClass::kAttestation);
    ask.gone = [&left] { return left.load(); };
    EXPECT_FALSE(limits.Take(std::move(ask), answers_.For(call)).has_value());
  }
  EXPECT_FALSE(limits.Take(Ask(RateClass::kAttestation), answers_.For(51)).has_value());
  left = true;
  clock_.Advance(seconds(1));
  EXPECT_TRUE(answers_.Await(51).ok());
  EXPECT_EQ(answers_.Await(1).code(), Code::kCancelled);
}

TEST_F(RateLimitsTest, WaitingCallsOfOneAddressAreBounded) {
  RateLimits limits({}, &clock_);
  EXPECT_TRUE(Passes(limits, Ask(RateClass::kAttestation)));
  std::atomic<bool> left = false;
  for (size_t i = 0; i < kRateWaitersPerAddressMax; ++i) {
    RateLimits::Ask ask = Ask(RateClass::kAttestation);
    ask.gone = [&left] { return left.load(); };
    EXPECT_FALSE(limits.Take(std::move(ask), answers_.For(static_cast<int>(i))).has_value());
  }
  std::optional<Status> refused = limits.Take(Ask(RateClass::kAttestation), [](Status) {});
  ASSERT_TRUE(refused.has_value());
  EXPECT_EQ(refused->code(), Code::kResourceExhausted);
  EXPECT_FALSE(limits.Take(Ask(RateClass::kPostStatus, "10.0.0.1", 10), [](Status) {})->code() !=
               Code::kOk);
  left = true;  // those who left make room
  EXPECT_FALSE(limits.Take(Ask(RateClass::kAttestation), answers_.For(5000)).has_value());
  EXPECT_EQ(answers_.Await(7).code(), Code::kCancelled);
}

TEST_F(RateLimitsTest, StopEndsEveryWait) {
  RateLimits limits({}, &clock_);
  EXPECT_TRUE(Passes(limits, Ask(RateClass::kAttestation)));
  EXPECT_FALSE(limits.Take(Ask(RateClass::kAttestation), answers_.For(1)).has_value());
  limits.Stop();
  EXPECT_EQ(answers_.Await(1).code(), Code::kUnavailable);
  EXPECT_EQ(limits.Take(Ask(RateClass::kAttestation), [](Status) {})->code(), Code::kUnavailable);
}

TEST_F(RateLimitsTest, AddressesAreForgottenOnceTheirBucketIsFull) {
  RateLimits limits({}, &clock_);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_TRUE(Passes(limits, Ask(RateClass::kAttestation, std::to_string(i))));
  }
  EXPECT_EQ(limits.Size(), 1000u);
  clock_.Advance(seconds(2));
  for (int i = 1000; i < 1600; ++i) {
    EXPECT_TRUE(Passes(limits, Ask(RateClass::kAttestation, std::to_string(i))));
  }
  EXPECT_LE(limits.Size(), 601u);
}

TEST_F(RateLimitsTest, TheTableIsBoundedAndForgetsNobodyWhoWaits) {
  RateLimits limits({}, &clock_);
  EXPECT_TRUE(Passes(limits, Ask(RateClass::kAttestation, "waits")));
  EXPECT_FALSE(limits.Take(Ask(RateClass::kAttestation, "waits"), answers_.For(1)).has_value());
  for (size_t i = 0; i < kRateAddressesMax + 100; ++i) {
    EXPECT_TRUE(Passes(limits, Ask(RateClass::kAttestation, std::to_string(i))));
  }
  EXPECT_EQ(limits.Size(), kRateAddressesMax);
  clock_.Advance(seconds(1));
  EXPECT_TRUE(answers_.Await(1).ok());
}

}  // namespace
}  // namespace writ
