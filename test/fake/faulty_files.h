// SPDX-License-Identifier: Apache-2.0
//
// FaultyFiles: the disks under directories of this process, each of which can be full, read-only or
// broken. While one lives, all that changes files by core/base/file asks it.
//
// Threads: thread-safe. Lifetime: one at a time; it outlives whoever changes files.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <map>
#include <string>

#include "core/base/file.h"
#include "core/base/mutex.h"

namespace writ {

class FaultyFiles final : public FileFaults {
 public:
  FaultyFiles() { SetFileFaults(this); }
  ~FaultyFiles() override { SetFileFaults(nullptr); }
  FaultyFiles(const FaultyFiles&) = delete;
  FaultyFiles& operator=(const FaultyFiles&) = delete;

  // After `changes` more in `directory` every one answers `error`, until Heal(): EROFS, EIO, or
  // ENOSPC, with which nothing fails that takes no space.
  void Fail(const std::string& directory, int error, int changes = 0) EXCLUDES(mu_) {
    MutexLock lock(mu_);
    disks_[directory + "/"] = {error, changes};
  }
  void Heal(const std::string& directory) EXCLUDES(mu_) {
    MutexLock lock(mu_);
    disks_.erase(directory + "/");
  }
  int failed() const EXCLUDES(mu_) {
    MutexLock lock(mu_);
    return failed_;
  }

  int FaultOf(Change change, const std::string& path) override EXCLUDES(mu_) {
    MutexLock lock(mu_);
    for (auto& [directory, disk] : disks_) {
      if (!(path + "/").starts_with(directory)) continue;
      if (ChangesNothing(change, path)) return 0;
      if (disk.error == ENOSPC && TakesNoSpace(change, path)) return 0;
      if (disk.changes-- > 0) return 0;
      ++failed_;
      return disk.error;
    }
    return 0;
  }

 private:
  struct Disk {
    int error;
    int changes;  // that it still makes
  };

  static bool IsThere(const std::string& path) { return access(path.c_str(), F_OK) == 0; }
  static bool ChangesNothing(Change change, const std::string& path) {
    return change == Change::kMakeDirectory ? IsThere(path)
                                            : change == Change::kRemove && !IsThere(path);
  }
  static bool TakesNoSpace(Change change, const std::string& path) {
    return change == Change::kOpen ? IsThere(path)
                                   : change == Change::kRemove || change == Change::kTruncate;
  }

  mutable Mutex mu_;
  std::map<std::string, Disk> disks_ GUARDED_BY(mu_);  // by directory, which ends with a slash
  int failed_ GUARDED_BY(mu_) = 0;
};

}  // namespace writ
