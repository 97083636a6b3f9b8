// SPDX-License-Identifier: Apache-2.0
#include "core/base/fair_places.h"

#include <gtest/gtest.h>

namespace writ {
namespace {

// How many more the process gets.
size_t TakeAll(FairPlaces& places, uid_t uid, pid_t pid) {
  size_t taken = 0;
  while (places.Take(uid, pid).ok()) ++taken;
  return taken;
}

TEST(FairPlacesTest, AProcessHasAnEighthAndIsToldSo) {
  FairPlaces places(64, "waits for JWT-SVIDs");
  EXPECT_EQ(TakeAll(places, 1000, 7), 8u);
  EXPECT_EQ(places.Take(1000, 7),
            Unavailable("the agent is busy: process 7 has its share of waits for JWT-SVIDs already "
                        "(8); call again when some of them are answered"));
  EXPECT_EQ(TakeAll(places, 1000, 8), 8u);
  places.Leave(1000, 7);
  EXPECT_EQ(TakeAll(places, 1000, 7), 1u);
}

TEST(FairPlacesTest, AUserWithManyProcessesLeavesRoomForOthers) {
  FairPlaces places(64, "waits for JWT-SVIDs");
  size_t taken = 0;
  for (pid_t pid = 1; pid <= 1000; ++pid) taken += TakeAll(places, 1000, pid);
  EXPECT_EQ(taken, 32u);
  EXPECT_EQ(places.Take(1000, 1001).message(),
            "the agent is busy: the user with uid 1000 has its share of waits for JWT-SVIDs "
            "already (32); call again when some of them are answered");
  for (pid_t pid = 2000; pid < 3000; ++pid) taken += TakeAll(places, 0, pid);
  EXPECT_EQ(taken, 48u);
  EXPECT_EQ(TakeAll(places, 1001, 4000), 8u);
}

TEST(FairPlacesTest, WhenAllAreTakenNobodyGetsOne) {
  FairPlaces places(2, "waits for JWT-SVIDs");
  EXPECT_TRUE(places.Take(1, 1).ok());
  EXPECT_TRUE(places.Take(2, 2).ok());
  EXPECT_EQ(places.Take(3, 3),
            Unavailable("the agent is busy: too many calls wait; call again"));
  places.Leave(1, 1);
  EXPECT_TRUE(places.Take(3, 3).ok());
}

}  // namespace
}  // namespace writ
