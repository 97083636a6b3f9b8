// SPDX-License-Identifier: Apache-2.0
#include "agent/agent_metrics.h"

#include <algorithm>
#include <chrono>

namespace writ {

AgentMetrics::AgentMetrics() : metrics_(Metrics::Make("writ_agent_")) {}

void AgentMetrics::Tell(const char* name, const char* help, double value) {
  metrics_->GetGauge(name, help)->Set(value);
}

void AgentMetrics::TellTotal(const std::string& name, const char* help, uint64_t value,
                             const std::map<std::string, std::string>& labels) {
  auto [at, is_new] = totals_.try_emplace({name, labels});
  Total& total = at->second;
  if (is_new) total.counter = metrics_->GetCounter(name, help, labels);
  // Two scrapes at once may have read in one order and come here in the other.
  if (value > total.told) total.counter->Add(static_cast<double>(value - total.told));
  total.told = std::max(total.told, value);
}

std::string AgentMetrics::Exposition(const AgentCounts& counts) {
  MutexLock lock(mu_);
  const auto number = [](size_t value) { return static_cast<double>(value); };
  Tell("synced", "1 after the first synchronization with the server.", counts.synced ? 1 : 0);
  Tell("following", "1 while the server tells of changes as they happen, 0 while the agent polls.",
       counts.following ? 1 : 0);
  Tell("workload_streams", "Open streams of the Workload API.", number(counts.streams));
  Tell("workload_connections", "Connections to the workload socket.", number(counts.connections));
  Tell("entries", "Registration entries that the server has given.", number(counts.cache.entries));
  Tell("x509_svids", "X.509-SVIDs that are held.", number(counts.cache.x509));
  Tell("jwt_svids", "JWT-SVIDs that are held.", number(counts.cache.jwt));
  Tell("last_turn_seconds", "How long the last synchronization took.",
       std::chrono::duration<double>(counts.loop.last_turn).count());
  TellTotal("evictions_total", "SVIDs given up to make room.", counts.cache.x509_given_up,
            {{"kind", "x509"}});
  TellTotal("evictions_total", "SVIDs given up to make room.", counts.cache.jwt_given_up,
            {{"kind", "jwt"}});
  TellTotal("turns_total", "Synchronizations with the server.", counts.loop.turns_done,
            {{"outcome", "ok"}});
  TellTotal("turns_total", "Synchronizations with the server.", counts.loop.turns_failed,
            {{"outcome", "failed"}});
  TellTotal("x509_svids_issued_total", "X.509-SVIDs got for workloads, renewals among them.",
            counts.loop.x509_issued);
  TellTotal("x509_svids_refused_total", "X.509-SVIDs asked for and not got.",
            counts.loop.x509_refused);
  TellTotal("workload_attestations_total", "Callers that were looked at.",
            counts.attestations.done, {{"outcome", "ok"}});
  TellTotal("workload_attestations_total", "Callers that were looked at.",
            counts.attestations.failed, {{"outcome", "failed"}});
  TellTotal("workload_refusals_total", "Callers that no entry matches.", counts.refusals);
  return metrics_->Exposition();
}

}  // namespace writ
