// SPDX-License-Identifier: Apache-2.0
#include "attestors/unix/digest_cache.h"

#include <errno.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "core/base/bytes.h"
#include "core/crypto/digest.h"

namespace writ {
namespace {

constexpr size_t kChunkBytes = 128 << 10;
constexpr int64_t kNanosPerSecond = 1'000'000'000;

}  // namespace

DigestCache::FileKey DigestCache::KeyOf(const struct stat& file) {
  return FileKey{.device = file.st_dev,
                 .inode = file.st_ino,
                 .size = file.st_size,
                 .mtime_ns = file.st_mtim.tv_sec * kNanosPerSecond + file.st_mtim.tv_nsec,
                 .ctime_ns = file.st_ctim.tv_sec * kNanosPerSecond + file.st_ctim.tv_nsec};
}

Result<DigestCache::FileKey> DigestCache::Check(int fd, uint64_t size_limit) {
  struct stat file;
  if (fstat(fd, &file) != 0) {
    return Internal(std::string("stat the executable: ") + strerror(errno));
  }
  if (!S_ISREG(file.st_mode)) return Internal("the executable is not a regular file");
  if (size_limit > 0 && static_cast<uint64_t>(file.st_size) > size_limit) {
    return ResourceExhausted("the executable has " + std::to_string(file.st_size) +
                             " bytes, workload_size_limit is " + std::to_string(size_limit));
  }
  return KeyOf(file);
}

std::optional<Result<std::string>> DigestCache::KnownDigestOf(int fd, uint64_t size_limit) {
  const FileKey key = TRY(Check(fd, size_limit));
  MutexLock lock(mu_);
  return Find(key);
}

Result<std::string> DigestCache::DigestOf(int fd, uint64_t size_limit,
                                          const std::stop_token& left) {
  const FileKey key = TRY(Check(fd, size_limit));
  if (auto known = TRY(AwaitTurn(key, left))) return *std::move(known);
  Result<std::string> digest = Read(fd, key, left);
  MutexLock lock(mu_);
  reading_.erase(key);
  changed_.NotifyAll();
  return digest;
}

// The digest once it is known; nothing: it is this thread's turn to read the file.
Result<std::optional<std::string>> DigestCache::AwaitTurn(const FileKey& key,
                                                          const std::stop_token& left) {
  const std::stop_callback on_left(left, [this] {
    MutexLock lock(mu_);
    changed_.NotifyAll();
  });
  MutexLock lock(mu_);
  while (true) {
    if (auto known = Find(key)) return known;
    TRY(CheckWanted(left));
    if (reading_.insert(key).second) return std::optional<std::string>();
    changed_.Wait(mu_);
  }
}

Status DigestCache::CheckWanted(const std::stop_token& left) const {
  if (stop_.stop_requested()) return Unavailable("the agent is stopping; call again");
  if (left.stop_requested()) return Cancelled("the caller has left");
  return OkStatus();
}

Result<std::string> DigestCache::Read(int fd, const FileKey& key, const std::stop_token& left) {
  std::string digest = TRY(Sha256OfFile(fd, key.size, left));
  struct stat after;
  if (fstat(fd, &after) != 0 || KeyOf(after) != key) {
    return Aborted("the executable changed while it was read; call again");
  }
  if (clock_->Now().time_since_epoch() - Duration(key.ctime_ns) >= kSettledAfter) Keep(key, digest);
  return digest;
}

// Reads exactly `size` bytes: a file that grows or shrinks meanwhile is an error.
Result<std::string> DigestCache::Sha256OfFile(int fd, int64_t size,
                                              const std::stop_token& left) const {
  Sha256Stream stream;
  std::vector<char> chunk(kChunkBytes);
  int64_t total = 0;
  while (true) {
    TRY(CheckWanted(left));
    const ssize_t n = read(fd, chunk.data(), chunk.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Internal(std::string("read the executable: ") + strerror(errno));
    if (n == 0) break;
    total += n;
    if (total > size) break;
    stream.Update({chunk.data(), static_cast<size_t>(n)});
  }
  if (total != size) return Aborted("the executable changed while it was read; call again");
  return HexEncode(stream.Finish());
}

void DigestCache::Stop() {
  stop_.request_stop();
  MutexLock lock(mu_);
  changed_.NotifyAll();
}

std::optional<std::string> DigestCache::Find(const FileKey& key) {
  const auto it = held_.find(key);
  if (it == held_.end()) return std::nullopt;
  by_use_.splice(by_use_.begin(), by_use_, it->second.place);
  return it->second.digest;
}

void DigestCache::Keep(const FileKey& key, const std::string& digest) {
  MutexLock lock(mu_);
  if (held_.contains(key)) return;
  if (held_.size() >= digests_max_) {
    held_.erase(by_use_.back());
    by_use_.pop_back();
  }
  by_use_.push_front(key);
  held_.emplace(key, Held{.digest = digest, .place = by_use_.begin()});
}

size_t DigestCache::size() const {
  MutexLock lock(mu_);
  return held_.size();
}

}  // namespace writ
