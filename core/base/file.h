// SPDX-License-Identifier: Apache-2.0
//
// Files whose loss would matter: read whole with a bound, replaced atomically, locked against a
// second instance. Errors name the path and what to do.
//
// Trust: contents are hostile. Threads: free functions, thread-safe.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace writ {

// An owned descriptor, closed when destroyed.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.Release()) {}
  Fd& operator=(Fd&& other) noexcept;
  ~Fd() { Reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int Release() {
    int fd = fd_;
    fd_ = -1;
    return fd;
  }
  void Reset();

 private:
  int fd_ = -1;
};

inline constexpr size_t kFileBytesMax = 16 << 20;

// NotFound when there is none; a file over `bytes_max` is ResourceExhausted.
Result<std::string> ReadFile(const std::string& path, size_t bytes_max = kFileBytesMax);

// Replaces `path` whole: a temporary file in the same directory with `mode` exactly (never wider,
// whatever the umask), written, fsynced, renamed, directory fsynced. After a crash the old or the
// new content is there, never a mixture.
Status WriteFileAtomic(const std::string& path, std::string_view content, mode_t mode);

// Removes a file durably; one that is absent is no error.
Status RemoveFile(const std::string& path);

// Makes a directory, which gets exactly `mode`, and its parents, which everybody may pass: others
// may live in them, such as sockets. Existing ones are left alone.
Status MakeDirectories(const std::string& path, mode_t mode);
// Whether a program could use the directory, or make it, by the rights of what is there; changes
// nothing. The same of a file in a directory that it does not make, and of a Unix socket.
Status CheckUsableDirectory(const std::string& path);
Status CheckUsableFile(const std::string& path);
Status CheckUsableSocket(const std::string& path);

// Plain file names in a directory, sorted.
Result<std::vector<std::string>> ListDirectory(const std::string& path);

Status SyncDirectory(const std::string& path);

// The steps of a change, for a file that grows instead of being replaced. What fails leaves errno;
// a write that fails may have written a part. `path` is whose file `fd` is.
Fd OpenToChange(const std::string& path, int flags, mode_t mode);
bool WriteWhole(int fd, std::string_view content, const std::string& path);
bool SyncContent(int fd, const std::string& path);
bool TruncateFile(int fd, size_t size, const std::string& path);

// An exclusive lock on a file, held as long as the object lives, gone with the process.
// FailedPrecondition names the process that holds it.
class FileLock {
 public:
  static Result<FileLock> Take(const std::string& path);

 private:
  explicit FileLock(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

// FileFaults: a disk that fails, for tests. Every change that is made through this file asks it
// before it is made.
//
// Threads: thread-safe, since whoever changes a file asks.
class FileFaults {
 public:
  enum class Change { kOpen, kWrite, kSync, kTruncate, kRename, kRemove, kMakeDirectory };
  virtual ~FileFaults() = default;
  // The errno with which this change of `path` fails; 0: it is made. A write that finds no space
  // writes half of what it was to write, as on a disk that fills up.
  virtual int FaultOf(Change change, const std::string& path) = 0;
};

// For the whole process, until it is called again; null, as it is outside of tests: nothing is
// asked. `faults` is borrowed and outlives the changes that ask it: it is replaced while no thread
// changes a file.
void SetFileFaults(FileFaults* faults);

}  // namespace writ
