// SPDX-License-Identifier: Apache-2.0
//
// DigestCache: SHA-256 digests of executables, so that a program is read once, not at every call of
// its processes. The key is what changes whenever a file's content does: device, inode, size, mtime
// and ctime. The least recently used digest goes first.
//
// Trust: a file may be as large as its owner likes, with holes even larger than the disk. One is
// read by one thread at a time, as long as somebody waits for it.
// Threads: thread-safe; files are read without a lock held.
#pragma once

#include <sys/stat.h>

#include <compare>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <stop_token>
#include <string>

#include "core/base/clock.h"
#include "core/base/mutex.h"
#include "core/base/status.h"

namespace writ {

inline constexpr size_t kDigestsMax = 1024;
// A file's timestamps have the resolution of the kernel's tick: one that changed a moment ago may
// change again without a trace, so its digest is not kept.
inline constexpr Duration kSettledAfter = std::chrono::seconds(2);

class DigestCache {
 public:
  DigestCache(size_t digests_max, Clock* clock) : digests_max_(digests_max), clock_(clock) {}

  // The digest, in lower-case hex, of the regular file behind `fd` (open for reading, at its
  // beginning). ResourceExhausted above `size_limit` bytes (0: no limit); Aborted when the file
  // changed while it was read. Waits while another thread reads the same file. Cancelled soon after
  // `left` stops, Unavailable soon after Stop().
  Result<std::string> DigestOf(int fd, uint64_t size_limit, const std::stop_token& left = {})
      EXCLUDES(mu_);
  // The same where the file need not be read for it.
  std::optional<Result<std::string>> KnownDigestOf(int fd, uint64_t size_limit) EXCLUDES(mu_);
  void Stop() EXCLUDES(mu_);  // for good

  size_t size() const EXCLUDES(mu_);

 private:
  struct FileKey {
    dev_t device;
    ino_t inode;
    int64_t size;
    int64_t mtime_ns;
    int64_t ctime_ns;
    auto operator<=>(const FileKey&) const = default;
  };
  struct Held {
    std::string digest;
    std::list<FileKey>::iterator place;
  };

  static FileKey KeyOf(const struct stat& file);
  static Result<FileKey> Check(int fd, uint64_t size_limit);
  Status CheckWanted(const std::stop_token& left) const;
  Result<std::optional<std::string>> AwaitTurn(const FileKey& key, const std::stop_token& left)
      EXCLUDES(mu_);
  Result<std::string> Read(int fd, const FileKey& key, const std::stop_token& left) EXCLUDES(mu_);
  Result<std::string> Sha256OfFile(int fd, int64_t size, const std::stop_token& left) const;
  std::optional<std::string> Find(const FileKey& key) REQUIRES(mu_);
  void Keep(const FileKey& key, const std::string& digest) EXCLUDES(mu_);

  const size_t digests_max_;
  Clock* const clock_;
  std::stop_source stop_;  // its own lock
  mutable Mutex mu_;
  CondVar changed_;                           // what is read, or whether it is wanted
  std::set<FileKey> reading_ GUARDED_BY(mu_);  // each by one thread
  std::map<FileKey, Held> held_ GUARDED_BY(mu_);
  std::list<FileKey> by_use_ GUARDED_BY(mu_);  // most recently used first
};

}  // namespace writ
