// SPDX-License-Identifier: Apache-2.0
#include "core/net/metrics.h"

#include <prometheus/check_names.h>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <utility>

#include "core/base/mutex.h"
#include "core/base/status.h"

namespace writ {
namespace {

class PrometheusCounter final : public Counter {
 public:
  explicit PrometheusCounter(prometheus::Counter* counter) : counter_(counter) {}
  void Add(double n) override { counter_->Increment(n); }

 private:
  prometheus::Counter* const counter_;
};

class PrometheusGauge final : public Gauge {
 public:
  explicit PrometheusGauge(prometheus::Gauge* gauge) : gauge_(gauge) {}
  void Set(double value) override { gauge_->Set(value); }

 private:
  prometheus::Gauge* const gauge_;
};

class PrometheusHistogram final : public Histogram {
 public:
  explicit PrometheusHistogram(prometheus::Histogram* histogram) : histogram_(histogram) {}
  void Observe(double value) override { histogram_->Observe(value); }

 private:
  prometheus::Histogram* const histogram_;
};

// What was handed out, by name and labels: the same question gets the same object.
template <typename T>
using Handed =
    std::map<std::pair<std::string, std::map<std::string, std::string>>, std::unique_ptr<T>>;

class PrometheusMetrics final : public Metrics {
 public:
  explicit PrometheusMetrics(std::string prefix) : prefix_(std::move(prefix)) {}

  Counter* GetCounter(const std::string& name, const std::string& help,
                      const std::map<std::string, std::string>& labels) override EXCLUDES(mu_) {
    MutexLock lock(mu_);
    std::unique_ptr<Counter>& handed = counters_[{name, labels}];
    if (handed == nullptr) {
      auto& family = prometheus::BuildCounter().Name(FullName(name)).Help(help).Register(registry_);
      handed = std::make_unique<PrometheusCounter>(&family.Add(labels));
    }
    return handed.get();
  }

  Gauge* GetGauge(const std::string& name, const std::string& help,
                  const std::map<std::string, std::string>& labels) override EXCLUDES(mu_) {
    MutexLock lock(mu_);
    std::unique_ptr<Gauge>& handed = gauges_[{name, labels}];
    if (handed == nullptr) {
      auto& family = prometheus::BuildGauge().Name(FullName(name)).Help(help).Register(registry_);
      handed = std::make_unique<PrometheusGauge>(&family.Add(labels));
    }
    return handed.get();
  }

  Histogram* GetHistogram(const std::string& name, const std::string& help,
                          const std::vector<double>& bounds,
                          const std::map<std::string, std::string>& labels) override EXCLUDES(mu_) {
    MutexLock lock(mu_);
    std::unique_ptr<Histogram>& handed = histograms_[{name, labels}];
    if (handed == nullptr) {
      auto& family =
          prometheus::BuildHistogram().Name(FullName(name)).Help(help).Register(registry_);
      handed = std::make_unique<PrometheusHistogram>(&family.Add(labels, bounds));
    }
    return handed.get();
  }

  std::string Exposition() const override {
    return prometheus::TextSerializer().Serialize(registry_.Collect());
  }

 private:
  std::string FullName(const std::string& name) const {
    std::string full = prefix_ + name;
    CHECK(prometheus::CheckMetricName(full));
    return full;
  }

  const std::string prefix_;
  prometheus::Registry registry_;  // locks by itself
  Mutex mu_;
  Handed<Counter> counters_ GUARDED_BY(mu_);
  Handed<Gauge> gauges_ GUARDED_BY(mu_);
  Handed<Histogram> histograms_ GUARDED_BY(mu_);
};

}  // namespace

std::unique_ptr<Metrics> Metrics::Make(std::string prefix) {
  return std::make_unique<PrometheusMetrics>(std::move(prefix));
}

}  // namespace writ
