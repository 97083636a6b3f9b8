// SPDX-License-Identifier: Apache-2.0
#include "attestors/workload/attestors.h"

#include <gtest/gtest.h>

#include "test/fake/fake_clock.h"

namespace writ {
namespace {

TEST(WorkloadAttestorsTest, TheTableMakesEachMethodUnderItsName) {
  FakeClock clock;
  std::vector<std::unique_ptr<WorkloadAttestor>> attestors = MakeWorkloadAttestors({}, &clock);
  ASSERT_EQ(attestors.size(), 1u);
  EXPECT_EQ(attestors[0]->name(), "unix");
}

}  // namespace
}  // namespace writ
