// SPDX-License-Identifier: Apache-2.0
//
// FaultyDisk: SQLite's file system layer, wrapped so that its writes and syncs fail when a test
// says so. While one lives, every store that is opened lies on it.
//
// Threads: thread-safe once made. Lifetime: one at a time; it outlives the stores on it.
#pragma once

#include <sqlite3.h>

#include <atomic>
#include <cerrno>
#include <map>

#include "core/base/mutex.h"
#include "core/base/status.h"

namespace writ {

class FaultyDisk {
 public:
  FaultyDisk() {
    CHECK(current_ == nullptr);
    current_ = this;
    real_ = sqlite3_vfs_find(nullptr);
    faulty_ = *real_;
    faulty_.zName = "faulty";
    faulty_.xOpen = Open;
    CHECK(sqlite3_vfs_register(&faulty_, 1) == SQLITE_OK);
  }
  ~FaultyDisk() {
    CHECK(sqlite3_vfs_unregister(&faulty_) == SQLITE_OK);
    current_ = nullptr;
  }
  FaultyDisk(const FaultyDisk&) = delete;
  FaultyDisk& operator=(const FaultyDisk&) = delete;

  // After `operations` more writes and syncs every one answers `code`, until Heal().
  void FailAfter(int operations, int code) {
    operations_ = operations;
    code_ = code;
  }
  // The same by the system's errno: ENOSPC, EROFS or another.
  void FailLike(int error, int operations) {
    FailAfter(operations, error == ENOSPC  ? SQLITE_FULL
                          : error == EROFS ? SQLITE_READONLY
                                           : SQLITE_IOERR_WRITE);
  }
  void Heal() { code_ = SQLITE_OK; }
  // For tests whose processes die but whose machine does not: nothing waits for a real disk.
  void SkipSyncs() { skip_syncs_ = true; }

 private:
  // A file's methods with two replaced. `methods` comes first: a file that has ours leads to
  // `real`.
  struct Methods {
    sqlite3_io_methods methods;
    const sqlite3_io_methods* real;
  };

  int Fault() { return code_ != SQLITE_OK && operations_-- <= 0 ? code_.load() : SQLITE_OK; }
  static const sqlite3_io_methods* RealMethods(sqlite3_file* file) {
    return reinterpret_cast<const Methods*>(file->pMethods)->real;
  }
  static int Write(sqlite3_file* file, const void* data, int size, sqlite3_int64 at) {
    if (int code = current_->Fault()) return code;
    return RealMethods(file)->xWrite(file, data, size, at);
  }
  static int Sync(sqlite3_file* file, int flags) {
    if (int code = current_->Fault()) {
      return code == SQLITE_FULL || code == SQLITE_READONLY ? SQLITE_IOERR_FSYNC : code;
    }
    if (current_->skip_syncs_) return SQLITE_OK;
    return RealMethods(file)->xSync(file, flags);
  }
  static int Open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* flags_out) {
    FaultyDisk& disk = *current_;
    int code = disk.real_->xOpen(disk.real_, name, file, flags, flags_out);
    if (code != SQLITE_OK || !file->pMethods) return code;
    MutexLock lock(disk.mu_);
    auto [it, added] =
        disk.patched_.try_emplace(file->pMethods, Methods{*file->pMethods, file->pMethods});
    if (added) {
      it->second.methods.xWrite = Write;
      it->second.methods.xSync = Sync;
    }
    file->pMethods = &it->second.methods;
    return SQLITE_OK;
  }

  static inline FaultyDisk* current_ = nullptr;  // what SQLite's plain functions find
  sqlite3_vfs* real_ = nullptr;                  // constant after construction
  sqlite3_vfs faulty_{};                         // likewise
  std::atomic<int> code_ = SQLITE_OK;
  std::atomic<int> operations_ = 0;
  std::atomic<bool> skip_syncs_ = false;
  Mutex mu_;
  std::map<const sqlite3_io_methods*, Methods> patched_ GUARDED_BY(mu_);  // by `real`
};

}  // namespace writ
