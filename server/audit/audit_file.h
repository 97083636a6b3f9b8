// SPDX-License-Identifier: Apache-2.0
//
// AuditFile: a file of whole lines. What Append() is given is in it whole and on disk, or not at
// all.
//
// Trust: what stands in the file at opening may be torn by a crash. Threads: one at a time.
#pragma once

#include <string>
#include <string_view>

#include "core/base/file.h"
#include "core/base/status.h"

namespace writ {

class AuditFile {
 public:
  // Opens or makes the file (0600), and cuts a torn last line off. FailedPrecondition when it is
  // something else than a file of JSON lines.
  static Result<AuditFile> Open(const std::string& path);

  // Writes `lines` and waits for the disk. A failure takes back what was written of them; where
  // even that fails the file is not to be used again.
  Status Append(std::string_view lines);

 private:
  AuditFile(std::string path, Fd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
  Status CheckKind() const;
  Status CutTornLine();

  std::string path_;
  Fd fd_;
};

}  // namespace writ
