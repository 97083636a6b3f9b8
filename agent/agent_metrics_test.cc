// SPDX-License-Identifier: Apache-2.0
#include "agent/agent_metrics.h"

#include <gtest/gtest.h>

namespace writ {
namespace {

bool Has(const std::string& text, const std::string& line) {
  return text.find("\n" + line + "\n") != std::string::npos;
}

TEST(AgentMetricsTest, TellsWhatIsAndWhatHasBeen) {
  AgentMetrics metrics;
  AgentCounts counts{.synced = true, .streams = 3, .refusals = 2};
  counts.cache = {.entries = 5, .x509 = 4, .jwt = 1, .x509_given_up = 7};
  counts.loop = {.turns_done = 10, .x509_issued = 6};
  counts.loop.last_turn = std::chrono::milliseconds(250);
  const std::string text = metrics.Exposition(counts);
  EXPECT_TRUE(Has(text, "writ_agent_synced 1")) << text;
  EXPECT_TRUE(Has(text, "writ_agent_x509_svids 4"));
  EXPECT_TRUE(Has(text, "writ_agent_evictions_total{kind=\"x509\"} 7"));
  EXPECT_TRUE(Has(text, "writ_agent_evictions_total{kind=\"jwt\"} 0"));
  EXPECT_TRUE(Has(text, "writ_agent_turns_total{outcome=\"ok\"} 10"));
  EXPECT_TRUE(Has(text, "writ_agent_workload_refusals_total 2"));
  EXPECT_TRUE(Has(text, "writ_agent_last_turn_seconds 0.25"));
}

TEST(AgentMetricsTest, TotalsGrowByWhatIsNewAndNeverFall) {
  AgentMetrics metrics;
  metrics.Exposition({.refusals = 2});
  EXPECT_TRUE(Has(metrics.Exposition({.refusals = 5}), "writ_agent_workload_refusals_total 5"));
  EXPECT_TRUE(Has(metrics.Exposition({.refusals = 4}), "writ_agent_workload_refusals_total 5"));
}

}  // namespace
}  // namespace writ
