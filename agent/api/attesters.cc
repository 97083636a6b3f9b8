// SPDX-License-Identifier: Apache-2.0
#include "agent/api/attesters.h"

#include <optional>
#include <utility>

namespace writ {
namespace {

constexpr size_t kThreadsMax = kBriefAttestersCount + kLongAttestersCount;

}  // namespace

Attesters::Attesters(const WorkloadAttestation* attestation)
    : attestation_(attestation),
      places_(kAttestationsWaitingMax, "waits for attestation"),
      brief_(kBriefAttestersCount, kBriefAttestersOfUserMax),
      long_(kLongAttestersCount, kLongAttestersOfUserMax),
      pool_("attest", kThreadsMax, kThreadsMax) {}

Attesters::~Attesters() { Stop(Unavailable("the agent is stopping; call again")); }

void Attesters::Attest(std::shared_ptr<const Caller> caller, std::stop_token left, Where where,
                       Answer answer) {
  if (where == Where::kAnywhere) {
    std::vector<AttestorFailure> failures;
    if (auto now = attestation_->AttestNow(*caller, &failures)) return answer(*now, failures);
  }
  const auto task = std::make_shared<const Task>(
      Task{.caller = std::move(caller), .left = std::move(left), .answer = std::move(answer)});
  const Status entered = Enter(task);
  if (!entered.ok()) task->answer(entered, {});
}

Status Attesters::Enter(const std::shared_ptr<const Task>& task) {
  const Caller& caller = *task->caller;
  MutexLock lock(mu_);
  TRY(stopped_);
  TRY(places_.Take(caller.uid(), caller.pid()));
  brief_.Push(caller.uid(), caller.pid(), task);
  StartTasks();
  return OkStatus();
}

// The lanes let no more run than there are threads. The pool refuses work only when all is about to
// be gone, and then nobody waits.
void Attesters::StartTasks() {
  while (auto task = brief_.Start()) {
    if (!pool_.Submit([this, task = *std::move(task)] { RunBrief(task); })) return;
  }
  while (auto task = long_.Start()) {
    if (!pool_.Submit([this, task = *std::move(task)] { RunLong(*task); })) return;
  }
}

void Attesters::RunBrief(const std::shared_ptr<const Task>& task) {
  if (task->left.stop_requested()) {
    task->answer(Cancelled("the caller has left"), {});
  } else {
    std::vector<AttestorFailure> failures;
    const auto soon = attestation_->AttestSoon(*task->caller, &failures);
    if (!soon) return GoOver(task);
    task->answer(*soon, failures);
  }
  MutexLock lock(mu_);
  Finish(brief_, *task);
}

void Attesters::RunLong(const Task& task) {
  std::vector<AttestorFailure> failures;
  const Result<Selectors> selectors = attestation_->Attest(*task.caller, &failures, task.left);
  task.answer(selectors, failures);
  MutexLock lock(mu_);
  Finish(long_, task);
}

// With its place, from the brief lane to the long one.
void Attesters::GoOver(const std::shared_ptr<const Task>& task) {
  const Caller& caller = *task->caller;
  Status stopped;
  {
    MutexLock lock(mu_);
    stopped = stopped_;
    if (stopped.ok()) {
      brief_.End(caller.uid());
      long_.Push(caller.uid(), caller.pid(), task);
      return StartTasks();
    }
  }
  task->answer(stopped, {});
  MutexLock lock(mu_);
  Finish(brief_, *task);
}

void Attesters::Finish(Lane& lane, const Task& task) {
  lane.End(task.caller->uid());
  places_.Leave(task.caller->uid(), task.caller->pid());
  StartTasks();
}

void Attesters::Stop(const Status& status) {
  std::vector<std::shared_ptr<const Task>> waiting;
  {
    MutexLock lock(mu_);
    stopped_ = status;
    waiting = brief_.Drain();
    for (auto& task : long_.Drain()) waiting.push_back(std::move(task));
    for (const auto& task : waiting) places_.Leave(task->caller->uid(), task->caller->pid());
  }
  for (const auto& task : waiting) task->answer(status, {});
}

}  // namespace writ
