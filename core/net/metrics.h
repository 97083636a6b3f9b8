// SPDX-License-Identifier: Apache-2.0
//
// Metrics: counters, gauges and histograms by name, over prometheus-cpp. Names carry the prefix
// "writ_server_" or "writ_agent_"; label sets are small and fixed.
// Threads: thread-safe. A pointer handed out lives as long as the Metrics.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace writ {

class Counter {
 public:
  virtual ~Counter() = default;
  virtual void Add(double n = 1) = 0;
};
class Gauge {
 public:
  virtual ~Gauge() = default;
  virtual void Set(double value) = 0;
};
class Histogram {
 public:
  virtual ~Histogram() = default;
  virtual void Observe(double value) = 0;
};

class Metrics {
 public:
  virtual ~Metrics() = default;
  static std::unique_ptr<Metrics> Make(std::string prefix);
  virtual Counter* GetCounter(const std::string& name, const std::string& help,
                              const std::map<std::string, std::string>& labels = {}) = 0;
  virtual Gauge* GetGauge(const std::string& name, const std::string& help,
                          const std::map<std::string, std::string>& labels = {}) = 0;
  virtual Histogram* GetHistogram(const std::string& name, const std::string& help,
                                  const std::vector<double>& bounds,
                                  const std::map<std::string, std::string>& labels = {}) = 0;
  virtual std::string Exposition() const = 0;
};

}  // namespace writ
