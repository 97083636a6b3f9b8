// SPDX-License-Identifier: Apache-2.0
#include "server/audit/audit_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "server/audit/audit_log.h"

namespace writ {
namespace {

constexpr mode_t kFileMode = 0600;

Status Failed(const std::string& deed, const std::string& path) {
  return Unavailable(deed + " the audit log " + path + ": " + std::strerror(errno) +
                     ": nothing is issued before it can be written; check its disk, its owner and "
                     "its mode");
}

Status NotALog(const std::string& path, const std::string& found) {
  return FailedPrecondition(path + " is " + found +
                            ", not an audit log of JSON lines: set audit.path to a file of its "
                            "own, or move this one away");
}

Result<size_t> SizeOf(int fd, const std::string& path) {
  struct stat info;
  if (fstat(fd, &info) != 0) return Failed("look at", path);
  return static_cast<size_t>(info.st_size);
}

Status SyncParent(const std::string& path) {
  const std::string directory = std::filesystem::path(path).parent_path();
  return SyncDirectory(directory.empty() ? "." : directory);
}

}  // namespace

Result<AuditFile> AuditFile::Open(const std::string& path) {
  Fd fd = OpenToChange(path, O_RDWR | O_APPEND | O_CREAT | O_NONBLOCK, kFileMode);
  if (!fd.valid()) return Failed("open", path);
  AuditFile file(path, std::move(fd));
  TRY(file.CheckKind());
  if (fchmod(file.fd_.get(), kFileMode) != 0) return Failed("set the mode of", path);
  TRY(file.CutTornLine());
  TRY(SyncParent(path));
  return file;
}

Status AuditFile::CheckKind() const {
  struct stat info;
  if (fstat(fd_.get(), &info) != 0) return Failed("look at", path_);
  if (!S_ISREG(info.st_mode)) return NotALog(path_, "no regular file");
  char first = '{';
  if (info.st_size > 0 && pread(fd_.get(), &first, 1, 0) != 1) return Failed("read", path_);
  return first == '{' ? OkStatus() : NotALog(path_, "something else");
}

Status AuditFile::CutTornLine() {
  const size_t size = TRY(SizeOf(fd_.get(), path_));
  std::string tail(std::min(size, kAuditLineBytesMax), '\0');
  const size_t tail_at = size - tail.size();
  ssize_t got = pread(fd_.get(), tail.data(), tail.size(), static_cast<off_t>(tail_at));
  if (got != static_cast<ssize_t>(tail.size())) return Failed("read", path_);
  const size_t last_break = tail.rfind('\n');
  if (last_break == std::string::npos && tail_at > 0) return NotALog(path_, "without lines");
  const size_t whole = last_break == std::string::npos ? 0 : tail_at + last_break + 1;
  if (whole == size) return OkStatus();
  if (!TruncateFile(fd_.get(), whole, path_) || !SyncContent(fd_.get(), path_)) {
    return Failed("cut a torn line off", path_);
  }
  return OkStatus();
}

Status AuditFile::Append(std::string_view lines) {
  // Asked each time: a rotation may have emptied the file.
  const size_t size = TRY(SizeOf(fd_.get(), path_));
  Status status;
  if (!WriteWhole(fd_.get(), lines, path_)) {
    status = Failed("write to", path_);
  } else if (!SyncContent(fd_.get(), path_)) {
    status = Failed("sync", path_);
  }
  if (!status.ok() && !TruncateFile(fd_.get(), size, path_)) {
    return Failed("take a failed write back in", path_);
  }
  return status;
}

}  // namespace writ
