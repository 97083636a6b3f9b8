// SPDX-License-Identifier: Apache-2.0
#include "core/base/environment.h"

#include <gtest/gtest.h>
#include <stdlib.h>

namespace writ {
namespace {

TEST(EnvironmentTest, CopiesWhatTheProcessHas) {
  ASSERT_EQ(setenv("WRIT_ENVIRONMENT_TEST", "a=b", 1), 0);
  Environment environment = ProcessEnvironment();
  ASSERT_EQ(unsetenv("WRIT_ENVIRONMENT_TEST"), 0);
  EXPECT_EQ(environment.at("WRIT_ENVIRONMENT_TEST"), "a=b");
  EXPECT_FALSE(ProcessEnvironment().contains("WRIT_ENVIRONMENT_TEST"));
}

}  // namespace
}  // namespace writ
