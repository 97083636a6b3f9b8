// SPDX-License-Identifier: Apache-2.0
//
// The audit log in a file. Whoever finds no leader becomes it, writes the lines of all who wait
// with one sync, and lets them go on.
#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/mutex.h"
#include "server/audit/audit_file.h"
#include "server/audit/audit_line.h"
#include "server/audit/audit_log.h"

namespace writ {
namespace {

constexpr size_t kWaitingPerSyncMax = 256;

class FileAuditLog final : public AuditLog {
 public:
  FileAuditLog(std::string path, Clock* clock, AuditFile file)
      : path_(std::move(path)), clock_(clock), file_(std::move(file)) {}

  using AuditLog::Append;
  Status Append(std::span<const AuditEvent> events) override EXCLUDES(mu_);
  Status Reopen() override EXCLUDES(mu_);

 private:
  struct Waiting {
    std::string lines;
    Status status;
    bool done = false;
  };
  void Lead(const Waiting& own) REQUIRES(mu_);
  Status Write(const std::string& lines);

  const std::string path_;
  Clock* const clock_;  // borrowed
  Mutex mu_;
  CondVar changed_;  // a batch is done, or the lead is free
  std::vector<Waiting*> queue_ GUARDED_BY(mu_);
  bool led_ GUARDED_BY(mu_) = false;
  std::optional<AuditFile> file_;  // used by the leader alone; none after a failure
};

Status FileAuditLog::Append(std::span<const AuditEvent> events) {
  Waiting own;
  const Time now = clock_->Now();
  for (const AuditEvent& event : events) own.lines += AuditLine(event, now);
  if (own.lines.empty()) return OkStatus();
  MutexLock lock(mu_);
  queue_.push_back(&own);
  while (!own.done && led_) changed_.Wait(mu_);
  if (!own.done) Lead(own);
  return own.status;
}

// Writes batches until the leader's own lines are among those done.
void FileAuditLog::Lead(const Waiting& own) {
  led_ = true;
  while (!own.done) {
    const auto count = static_cast<ptrdiff_t>(std::min(queue_.size(), kWaitingPerSyncMax));
    std::vector<Waiting*> batch(queue_.begin(), queue_.begin() + count);
    queue_.erase(queue_.begin(), queue_.begin() + count);
    mu_.Unlock();
    std::string lines;
    for (const Waiting* waiting : batch) lines += waiting->lines;
    const Status status = Write(lines);
    mu_.Lock();
    for (Waiting* waiting : batch) {
      waiting->status = status;
      waiting->done = true;
    }
    changed_.NotifyAll();
  }
  led_ = false;
  changed_.NotifyAll();
}

// After a failure the file is opened anew, which cuts off whatever the failure left.
Status FileAuditLog::Write(const std::string& lines) {
  if (!file_) file_ = TRY(AuditFile::Open(path_));
  Status status = file_->Append(lines);
  if (!status.ok()) file_.reset();
  return status;
}

Status FileAuditLog::Reopen() {
  MutexLock lock(mu_);
  while (led_) changed_.Wait(mu_);
  file_ = TRY(AuditFile::Open(path_), "go on in a new file");
  return OkStatus();
}

}  // namespace

Result<std::unique_ptr<AuditLog>> OpenFileAuditLog(const std::string& path, Clock* clock) {
  AuditFile file = TRY(AuditFile::Open(path));
  return std::unique_ptr<AuditLog>(
      std::make_unique<FileAuditLog>(path, clock, std::move(file)));
}

}  // namespace writ
