// SPDX-License-Identifier: Apache-2.0
//
// The audit log in a file. Whoever waits and finds no leader becomes it, writes the lines of all
// who wait with one sync, and lets them go on; a thread leads for those who left a callback.
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/thread.h"
#include "server/audit/audit_file.h"
#include "server/audit/audit_line.h"
#include "server/audit/audit_log.h"

namespace writ {
namespace {

constexpr size_t kWaitingPerSyncMax = 256;

class FileAuditLog final : public AuditLog {
 public:
  FileAuditLog(std::string path, Clock* clock, AuditFile file)
      : path_(std::move(path)),
        clock_(clock),
        file_(std::move(file)),
        writer_("audit", [this](std::stop_token) { Write(); }) {}
  ~FileAuditLog() override;

  using AuditLog::Append;
  void AppendThen(std::span<const AuditEvent> events, std::function<void(Status)> done) override
      EXCLUDES(mu_);
  Status Append(std::span<const AuditEvent> events) override EXCLUDES(mu_);
  Status Check() override EXCLUDES(mu_);
  Status Reopen() override EXCLUDES(mu_);

 private:
  struct Waiting {
    std::string lines;
    std::function<void(Status)> done;  // called without the lock
  };
  std::string LinesOf(std::span<const AuditEvent> events) const;
  void WriteBatch() REQUIRES(mu_);
  Status WriteLines(const std::string& lines);
  void Write() EXCLUDES(mu_);

  const std::string path_;
  Clock* const clock_;  // borrowed
  Mutex mu_;
  CondVar changed_;  // a batch is done, or the lead is free
  CondVar left_;     // something waits that nobody leads, or the end has come
  std::deque<Waiting> queue_ GUARDED_BY(mu_);
  bool led_ GUARDED_BY(mu_) = false;
  bool closing_ GUARDED_BY(mu_) = false;
  Status last_ GUARDED_BY(mu_);    // what came of the last lines
  std::optional<AuditFile> file_;  // used by the leader alone; none after a failure
  Thread writer_;                  // leads where nobody who waits can
};

FileAuditLog::~FileAuditLog() {
  {
    MutexLock lock(mu_);
    closing_ = true;
  }
  left_.NotifyOne();
  writer_.Join();
}

std::string FileAuditLog::LinesOf(std::span<const AuditEvent> events) const {
  std::string lines;
  const Time now = clock_->Now();
  for (const AuditEvent& event : events) lines += AuditLine(event, now);
  return lines;
}

void FileAuditLog::AppendThen(std::span<const AuditEvent> events,
                              std::function<void(Status)> done) {
  std::string lines = LinesOf(events);
  if (lines.empty()) return done(OkStatus());
  bool full = false;
  {
    MutexLock lock(mu_);
    full = queue_.size() >= kAuditWaitingMax;
    if (!full) queue_.push_back({std::move(lines), std::move(done)});
  }
  if (full) return done(ResourceExhausted("too many wait for the audit log already"));
  left_.NotifyOne();
}

Status FileAuditLog::Append(std::span<const AuditEvent> events) {
  std::string lines = LinesOf(events);
  if (lines.empty()) return OkStatus();
  std::optional<Status> outcome;  // guarded by mu_
  MutexLock lock(mu_);
  queue_.push_back({std::move(lines), [this, &outcome](Status status) {
                      MutexLock relock(mu_);
                      outcome = std::move(status);
                    }});
  while (!outcome && led_) changed_.Wait(mu_);
  while (!outcome) WriteBatch();
  if (!queue_.empty()) left_.NotifyOne();
  return *outcome;
}

// Writes what waits with one sync, as the leader, and lets those go on.
void FileAuditLog::WriteBatch() {
  led_ = true;
  std::vector<Waiting> batch;
  std::string lines;
  while (!queue_.empty() && batch.size() < kWaitingPerSyncMax) {
    lines += queue_.front().lines;
    batch.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  mu_.Unlock();
  const Status status = WriteLines(lines);
  for (Waiting& waiting : batch) waiting.done(status);
  mu_.Lock();
  last_ = status;
  led_ = false;
  changed_.NotifyAll();
}

void FileAuditLog::Write() {
  MutexLock lock(mu_);
  while (true) {
    while (led_) changed_.Wait(mu_);
    if (!queue_.empty()) {
      WriteBatch();
    } else if (closing_) {
      return;
    } else {
      left_.Wait(mu_);
    }
  }
}

// After a failure the file is opened anew, which cuts off whatever the failure left. Whatever keeps
// it from that is a disk's trouble to whoever asked for a credential, not a refusal.
Status FileAuditLog::WriteLines(const std::string& lines) {
  if (!file_) {
    Result<AuditFile> opened = AuditFile::Open(path_);
    if (!opened.ok()) return Unavailable(opened.status().message());
    file_ = std::move(opened).value();
  }
  Status status = file_->Append(lines);
  if (!status.ok()) file_.reset();
  return status;
}

Status FileAuditLog::Check() {
  Status last;
  {
    MutexLock lock(mu_);
    last = last_;
  }
  if (last.ok()) return last;
  return Append(AuditEvent{.action = "audit_log.resume",
                           .outcome = "ok",
                           .actor = "server",
                           .subject = path_,
                           .details = {{"after", Json(std::string(last.message()))}}});
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
