// SPDX-License-Identifier: Apache-2.0
//
// FakeAuditLog: keeps the events in memory, or fails as the test says.
#pragma once

#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "core/base/mutex.h"
#include "server/audit/audit_log.h"

namespace writ {

class FakeAuditLog final : public AuditLog {
 public:
  using AuditLog::Append;
  void AppendThen(std::span<const AuditEvent> events, std::function<void(Status)> done) override {
    done(Append(events));
  }
  Status Append(std::span<const AuditEvent> events) override {
    MutexLock lock(mu_);
    if (!failure_.ok()) return failure_;
    if (events.empty()) return OkStatus();
    events_.insert(events_.end(), events.begin(), events.end());
    ++appends_;
    return OkStatus();
  }
  Status Check() override {
    MutexLock lock(mu_);
    return failure_;
  }
  Status Reopen() override { return OkStatus(); }

  // OK ends it.
  void Fail(Status failure) {
    MutexLock lock(mu_);
    failure_ = std::move(failure);
  }
  std::vector<AuditEvent> Events() const {
    MutexLock lock(mu_);
    return events_;
  }
  // The events since the last call.
  std::vector<AuditEvent> Take() {
    MutexLock lock(mu_);
    return std::exchange(events_, {});
  }
  int appends() const {
    MutexLock lock(mu_);
    return appends_;
  }

 private:
  mutable Mutex mu_;
  Status failure_ GUARDED_BY(mu_);
  std::vector<AuditEvent> events_ GUARDED_BY(mu_);
  int appends_ GUARDED_BY(mu_) = 0;
};

}  // namespace writ
