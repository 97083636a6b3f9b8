// SPDX-License-Identifier: Apache-2.0
#include "agent/api/caller_limit.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "test/fake/fake_clock.h"

namespace writ {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Selectors Of(int uid) { return {Selector{"unix", "uid:" + std::to_string(uid)}}; }

class CallerLimitTest : public testing::Test {
 protected:
  bool Admitted(CallerLimit& limit, int uid, std::string_view method = "FetchX509SVID") {
    const Status status = limit.Admit(method, other_, Of(uid));
    EXPECT_TRUE(status.ok() || status.code() == Code::kResourceExhausted);
    return status.ok();
  }
  int AdmittedOf(CallerLimit& limit, int calls) {
    int admitted = 0;
    for (int i = 0; i < calls; ++i) admitted += Admitted(limit, 1) ? 1 : 0;
    return admitted;
  }

  FakeClock clock_;
  const Caller other_{getpid() + 1, 1000, 1000, Fd()};
  const Caller agent_{getpid(), 0, 0, Fd()};
};

TEST_F(CallerLimitTest, IsOffWithoutANumber) {
  CallerLimit limit(0, &clock_);
  EXPECT_EQ(AdmittedOf(limit, 1000), 1000);
  EXPECT_EQ(limit.size(), 0u);
}

TEST_F(CallerLimitTest, AdmitsASecondsCallsAtOnceAndThenOneByOne) {
  CallerLimit limit(5, &clock_);
  EXPECT_EQ(AdmittedOf(limit, 20), 5);
  clock_.Advance(milliseconds(200));
  EXPECT_EQ(AdmittedOf(limit, 20), 1);
  clock_.Advance(milliseconds(199));
  EXPECT_EQ(AdmittedOf(limit, 20), 0);
  clock_.Advance(seconds(100));
  EXPECT_EQ(AdmittedOf(limit, 20), 5);
}

TEST_F(CallerLimitTest, MethodsAndSetsOfSelectorsAreCountedApart) {
  CallerLimit limit(1, &clock_);
  EXPECT_TRUE(Admitted(limit, 1));
  EXPECT_FALSE(Admitted(limit, 1));
  EXPECT_TRUE(Admitted(limit, 1, "FetchJWTSVID"));
  EXPECT_TRUE(Admitted(limit, 2));
}

TEST_F(CallerLimitTest, TheAgentItselfIsExempt) {
  CallerLimit limit(1, &clock_);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(limit.Admit("FetchX509SVID", agent_, Of(0)).ok());
}

TEST_F(CallerLimitTest, TheTableIsBounded) {
  CallerLimit limit(1, &clock_);
  EXPECT_TRUE(Admitted(limit, 0));
  for (size_t i = 1; i < kLimitedCallersMax; ++i) EXPECT_TRUE(Admitted(limit, static_cast<int>(i)));
  EXPECT_FALSE(Admitted(limit, 0));
  for (size_t i = 0; i < kLimitedCallersMax / 2; ++i) Admitted(limit, -1 - static_cast<int>(i));
  EXPECT_EQ(limit.size(), kLimitedCallersMax);
  EXPECT_FALSE(Admitted(limit, 0));  // seen of late
}

}  // namespace
}  // namespace writ
