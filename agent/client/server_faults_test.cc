// SPDX-License-Identifier: Apache-2.0
#include "agent/client/server_faults.h"

#include <gtest/gtest.h>

#include "test/fake/fake_clock.h"
#include "test/fake/fake_log.h"

namespace writ {
namespace {

class ServerFaultsTest : public testing::Test {
 protected:
  FakeClock clock_;
  FakeLog log_;
  ServerFaults faults_{&clock_, &log_};
};

TEST_F(ServerFaultsTest, MalformedEntriesAreALineAMinuteWithTheirNumber) {
  MalformedEntries malformed;
  faults_.Tell(malformed);
  EXPECT_TRUE(log_.Lines().empty());
  malformed.Add("bad", InvalidArgument("no selectors"));
  malformed.Add("worse", InvalidArgument("no ID"));
  for (int poll = 0; poll < 10; ++poll) {
    faults_.Tell(malformed);
    clock_.Advance(std::chrono::seconds(5));
  }
  ASSERT_EQ(log_.Lines().size(), 1u);
  EXPECT_EQ(log_.Count("entries=2 first_entry_id=bad"), 1);
  EXPECT_EQ(log_.Count("no selectors"), 1);
  clock_.Advance(std::chrono::seconds(10));
  faults_.Tell(malformed);
  EXPECT_EQ(log_.Lines().size(), 2u);
}

TEST_F(ServerFaultsTest, TheSameBadAuthoritiesAreToldOfOnce) {
  for (int poll = 0; poll < 3; ++poll) faults_.TellAuthorities({"weak", "unknown curve"});
  EXPECT_EQ(log_.Lines().size(), 2u);
  faults_.TellAuthorities({"weak"});
  EXPECT_EQ(log_.Count("reason=weak"), 2);
}

}  // namespace
}  // namespace writ
