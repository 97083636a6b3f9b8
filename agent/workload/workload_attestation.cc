// SPDX-License-Identifier: Apache-2.0
#include "agent/workload/workload_attestation.h"

#include <string>
#include <utility>

namespace writ {
namespace {

std::string ProcessText(const Caller& caller) {
  return "process " + std::to_string(caller.pid());
}

// For a debug line: what a registration entry's selectors are compared with.
std::string SelectorTexts(const Selectors& selectors) {
  std::string text;
  for (const Selector& selector : selectors) {
    if (!text.empty()) text += ' ';
    text += selector.text();
  }
  return text;
}

}  // namespace

WorkloadAttestation::WorkloadAttestation(std::vector<std::unique_ptr<WorkloadAttestor>> attestors,
                                         Clock* clock, Log* log)
    : attestors_(std::move(attestors)), log_(log), lines_(clock) {}

std::vector<std::string> WorkloadAttestation::AttestorNames() const {
  std::vector<std::string> names;
  for (const auto& attestor : attestors_) names.push_back(attestor->name());
  return names;
}

Result<Selectors> WorkloadAttestation::Attest(const Caller& caller,
                                              std::vector<AttestorFailure>* failures,
                                              const std::stop_token& left) const {
  Answers answers;
  if (caller.Alive()) {
    for (const auto& attestor : attestors_) answers.push_back(attestor->Attest(caller, left));
  }
  if (left.stop_requested()) return Cancelled("the caller has left");
  return Conclude(caller, answers, failures);
}

std::optional<Result<Selectors>> WorkloadAttestation::AttestSoon(
    const Caller& caller, std::vector<AttestorFailure>* failures) const {
  return AttestBy(&WorkloadAttestor::AttestSoon, caller, failures);
}

std::optional<Result<Selectors>> WorkloadAttestation::AttestNow(
    const Caller& caller, std::vector<AttestorFailure>* failures) const {
  return AttestBy(&WorkloadAttestor::AttestNow, caller, failures);
}

void WorkloadAttestation::Stop() {
  for (const auto& attestor : attestors_) attestor->Stop();
}

std::optional<Result<Selectors>> WorkloadAttestation::AttestBy(
    Way way, const Caller& caller, std::vector<AttestorFailure>* failures) const {
  Answers answers;
  for (const auto& attestor : attestors_) {
    std::optional<Result<std::vector<Selector>>> answer = (*attestor.*way)(caller);
    if (!answer) return std::nullopt;
    answers.push_back(*std::move(answer));
  }
  return Conclude(caller, answers, failures);
}

Result<Selectors> WorkloadAttestation::Conclude(const Caller& caller, const Answers& answers,
                                                std::vector<AttestorFailure>* failures) const {
  Result<Selectors> selectors = Join(caller, answers, failures);
  ++(selectors.ok() ? done_ : failed_);
  return selectors;
}

Result<Selectors> WorkloadAttestation::Join(const Caller& caller, const Answers& answers,
                                            std::vector<AttestorFailure>* failures) const {
  // Asked when all answers are there: what was read was of the process that connected.
  if (!caller.Alive()) return Unavailable(ProcessText(caller) + " is gone");
  std::vector<Selector> found;
  std::string reasons;
  size_t failed = 0;
  for (size_t n = 0; n < answers.size(); ++n) {
    const Result<std::vector<Selector>>& selectors = answers[n];
    if (selectors.ok()) {
      found.insert(found.end(), selectors->begin(), selectors->end());
      continue;
    }
    ++failed;
    const AttestorFailure failure{attestors_[n]->name(), selectors.status()};
    reasons += "; " + failure.attestor + ": " + failure.status.message();
    LogFailure(caller, failure);
    if (failures != nullptr) failures->push_back(failure);
  }
  if (failed == answers.size() && failed > 0) {
    return Unavailable("workload attestation failed: no attestor could identify " +
                       ProcessText(caller) + reasons);
  }
  Selectors selectors(std::move(found));
  if (log_->Enabled(LogLevel::kDebug)) {
    log_->Debug("attested a workload", {{"pid", caller.pid()},
                                        {"uid", caller.uid()},
                                        {"selectors", SelectorTexts(selectors)}});
  }
  return selectors;
}

void WorkloadAttestation::LogFailure(const Caller& caller, const AttestorFailure& failure) const {
  const std::optional<size_t> left_out = lines_.Take();
  if (!left_out) return;
  Log::Fields fields = {{"attestor", failure.attestor},
                        {"pid", caller.pid()},
                        {"uid", caller.uid()},
                        {"reason", failure.status}};
  if (*left_out > 0) fields.emplace_back("failures_not_logged", *left_out);
  log_->Warn("a workload attestor failed: its selectors are left out", fields);
}

}  // namespace writ
