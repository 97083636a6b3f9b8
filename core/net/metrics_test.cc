// SPDX-License-Identifier: Apache-2.0
#include "core/net/metrics.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/base/thread.h"

namespace writ {
namespace {

bool Has(const Metrics& metrics, const std::string& line) {
  return metrics.Exposition().find(line) != std::string::npos;
}

TEST(MetricsTest, ExpositionShowsEveryKindWithItsPrefixAndLabels) {
  auto metrics = Metrics::Make("writ_test_");
  metrics->GetCounter("signed_total", "Signatures made.", {{"kind", "x509"}})->Add(3);
  metrics->GetGauge("entries", "Entries held.")->Set(7);
  metrics->GetHistogram("call_seconds", "Time of a call.", {0.1, 1})->Observe(0.5);
  EXPECT_TRUE(Has(*metrics, "# HELP writ_test_signed_total Signatures made.\n"));
  EXPECT_TRUE(Has(*metrics, "# TYPE writ_test_signed_total counter\n"));
  EXPECT_TRUE(Has(*metrics, "writ_test_signed_total{kind=\"x509\"} 3\n"));
  EXPECT_TRUE(Has(*metrics, "writ_test_entries 7\n"));
  EXPECT_TRUE(Has(*metrics, "writ_test_call_seconds_bucket{le=\"0.1\"} 0\n"));
  EXPECT_TRUE(Has(*metrics, "writ_test_call_seconds_bucket{le=\"1\"} 1\n"));
}

TEST(MetricsTest, TheSameNameAndLabelsAreTheSameMetric) {
  auto metrics = Metrics::Make("writ_test_");
  Counter* counter = metrics->GetCounter("calls_total", "Calls.", {{"code", "OK"}});
  EXPECT_EQ(counter, metrics->GetCounter("calls_total", "Calls.", {{"code", "OK"}}));
  EXPECT_NE(counter, metrics->GetCounter("calls_total", "Calls.", {{"code", "NOT_FOUND"}}));
}

TEST(MetricsTest, LabelValuesAreEscaped) {
  auto metrics = Metrics::Make("writ_test_");
  metrics->GetCounter("odd_total", "Odd.", {{"name", "a\"b\nc"}})->Add();
  EXPECT_TRUE(Has(*metrics, "{name=\"a\\\"b\\nc\"} 1\n"));
}

TEST(MetricsTest, CountsFromManyThreadsAreAllThere) {
  auto metrics = Metrics::Make("writ_test_");
  {
    std::vector<Thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back("count", [&](std::stop_token) {
        for (int n = 0; n < 1000; ++n) metrics->GetCounter("n_total", "N.")->Add();
      });
    }
  }
  EXPECT_TRUE(Has(*metrics, "writ_test_n_total 4000\n"));
}

TEST(MetricsDeathTest, AMalformedNameIsABrokenInvariant) {
  auto metrics = Metrics::Make("writ_test_");
  EXPECT_DEATH(metrics->GetCounter("not a name", ""), "broken invariant");
}

}  // namespace
}  // namespace writ
