// SPDX-License-Identifier: Apache-2.0
#include "core/net/client_limits.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "test/fake/fake_clock.h"

namespace writ {
namespace {

class ClientLimitsTest : public ::testing::Test {
 protected:
  FakeClock clock_;
  ClientLimits limits_{20, &clock_};
  std::vector<std::shared_ptr<ClientLimits::Place>> places_;

  bool Connect(const std::string& client) {
    auto place = limits_.Enter();
    if (place == nullptr || !place->Claim(client)) return false;
    places_.push_back(std::move(place));
    return true;
  }
};

TEST_F(ClientLimitsTest, OneClientCannotTakeTheOthersPlaces) {
  int taken = 0;
  while (Connect("uid:1000")) ++taken;
  EXPECT_EQ(taken, 15);
  EXPECT_EQ(limits_.Open(), 15u) << "a refused connection holds no place";
  places_.erase(places_.begin());
  EXPECT_TRUE(Connect("uid:1000")) << "as many as before, not fewer";
  while (Connect("uid:1001")) ++taken;
  EXPECT_EQ(taken, 19);
  EXPECT_TRUE(Connect("uid:1002"));
}

TEST_F(ClientLimitsTest, TheTotalHoldsWhoeverComes) {
  int taken = 0;
  while (Connect("uid:" + std::to_string(taken))) ++taken;
  EXPECT_EQ(taken, 20);
  EXPECT_EQ(limits_.Enter(), nullptr);
}

TEST_F(ClientLimitsTest, AbandonedCallsAreChargedToTheClientNotTheConnection) {
  ASSERT_TRUE(Connect("a") && Connect("a") && Connect("b"));
  EXPECT_TRUE(places_[0]->Abandon(1500));
  EXPECT_TRUE(places_[1]->Abandon(500));
  EXPECT_FALSE(places_[0]->Abandon(1));
  EXPECT_TRUE(places_[0]->Abandon(0)) << "what it does otherwise is not charged";
  EXPECT_TRUE(places_[2]->Abandon(1));
}

TEST_F(ClientLimitsTest, TheBudgetComesBackWithTime) {
  ASSERT_TRUE(Connect("a"));
  EXPECT_TRUE(places_[0]->Abandon(2000));
  clock_.Advance(std::chrono::seconds(1));
  EXPECT_TRUE(places_[0]->Abandon(500));
  EXPECT_FALSE(places_[0]->Abandon(1));
}

TEST_F(ClientLimitsTest, AReconnectPaysNothingOff) {
  ASSERT_TRUE(Connect("a"));
  EXPECT_TRUE(places_[0]->Abandon(2000));
  places_.clear();
  ASSERT_TRUE(Connect("a"));
  EXPECT_FALSE(places_[0]->Abandon(1));
}

TEST_F(ClientLimitsTest, OneClientCannotTakeTheOthersCalls) {
  ASSERT_TRUE(Connect("a") && Connect("a") && Connect("b"));
  EXPECT_TRUE(places_[0]->HoldCalls(2000));
  EXPECT_TRUE(places_[1]->HoldCalls(1000)) << "three quarters of 4,000 in all";
  EXPECT_FALSE(places_[1]->HoldCalls(1001));
  EXPECT_TRUE(places_[2]->HoldCalls(700));
  EXPECT_TRUE(places_[1]->HoldCalls(1000)) << "one that lets calls go is not to blame";
  EXPECT_FALSE(places_[1]->HoldCalls(1001));
}

TEST_F(ClientLimitsTest, CallsEndWithTheirConnection) {
  ASSERT_TRUE(Connect("a") && Connect("a"));
  EXPECT_TRUE(places_[0]->HoldCalls(3000));
  EXPECT_FALSE(places_[1]->HoldCalls(1));
  places_.erase(places_.begin());
  EXPECT_TRUE(places_[0]->HoldCalls(2)) << "the other connection is open";
  places_.clear();
  ASSERT_TRUE(Connect("a"));
  EXPECT_TRUE(places_[0]->HoldCalls(3000));
}

TEST(ConnectionsAllowedByDescriptorsTest, KeepsAPartForTheRestOfTheProcess) {
  EXPECT_EQ(ConnectionsAllowedByDescriptors(65536), (65536u - 4096u) / 4u);
  EXPECT_EQ(ConnectionsAllowedByDescriptors(256), 40u);
  EXPECT_EQ(ConnectionsAllowedByDescriptors(10), 1u);
}

}  // namespace
}  // namespace writ
