// SPDX-License-Identifier: Apache-2.0
#include "core/base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "core/base/bytes.h"
#include "core/base/random.h"

namespace writ {
namespace {

constexpr mode_t kParentMode = 0755;

// A small file takes two reads and no large buffer.
constexpr size_t kFirstReadBytes = 4 << 10;
constexpr size_t kReadChunkBytes = 64 << 10;
constexpr size_t kDirectoryFilesMax = 100'000;
constexpr size_t kTemporaryNameRandomBytes = 8;

using Change = FileFaults::Change;

std::atomic<FileFaults*> file_faults = nullptr;

// Whether the change is to fail, with errno as it would be.
bool Fails(Change change, const std::string& path) {
  FileFaults* faults = file_faults.load(std::memory_order_acquire);
  const int error = faults == nullptr ? 0 : faults->FaultOf(change, path);
  if (error != 0) errno = error;
  return error != 0;
}

Status ErrnoStatus(int error, const std::string& deed) {
  std::string message = deed + ": " + std::strerror(error);
  switch (error) {
    case ENOENT:
      return NotFound(std::move(message));
    case EACCES:
    case EPERM:
      return PermissionDenied(message + "; this process runs as uid " + std::to_string(geteuid()) +
                              ", give it access");
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return ResourceExhausted(message + "; free some space, or raise the limit that is met");
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case EROFS:
    case ENAMETOOLONG:
      return FailedPrecondition(std::move(message));
    default:
      return Internal(std::move(message));
  }
}

// "a/b" -> "a", "b" -> ".", "/b" -> "/".
std::string ParentOf(const std::string& path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string BaseOf(const std::string& path) { return path.substr(path.rfind('/') + 1); }

bool WriteSome(int fd, std::string_view content) {
  while (!content.empty()) {
    ssize_t wrote = write(fd, content.data(), content.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return false;
    content.remove_prefix(static_cast<size_t>(wrote));
  }
  return true;
}

bool SyncWhole(int fd, const std::string& path) {
  return !Fails(Change::kSync, path) && fsync(fd) == 0;
}

bool Unlink(const std::string& path) {
  return !Fails(Change::kRemove, path) && unlink(path.c_str()) == 0;
}

// Everything that happens to the temporary file before it takes the name of the real one.
Status FillTemporary(int fd, const std::string& path, std::string_view content, mode_t mode) {
  if (fchmod(fd, mode) != 0) return ErrnoStatus(errno, "set the mode of " + path);
  if (!WriteWhole(fd, content, path)) return ErrnoStatus(errno, "write " + path);
  if (!SyncWhole(fd, path)) return ErrnoStatus(errno, "sync " + path);
  return OkStatus();
}

// One directory, whose parent is there. The mode is set on what was made, through a descriptor, so
// that nothing put in its place meanwhile is changed.
Status MakeDirectory(const std::string& path, mode_t mode) {
  if (Fails(Change::kMakeDirectory, path) || mkdir(path.c_str(), mode & 0700) != 0) {
    struct stat info {};
    int error = errno;
    if (error != EEXIST) return ErrnoStatus(error, "make directory " + path);
    if (stat(path.c_str(), &info) != 0) return ErrnoStatus(errno, "look at " + path);
    if (S_ISDIR(info.st_mode)) return OkStatus();
    return FailedPrecondition(path + " must be a directory and is something else; move it away");
  }
  Fd made(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!made.valid()) return ErrnoStatus(errno, "open directory " + path);
  if (fchmod(made.get(), mode) != 0) return ErrnoStatus(errno, "set the mode of " + path);
  return SyncDirectory(ParentOf(path));
}

}  // namespace

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    Reset();
    fd_ = other.Release();
  }
  return *this;
}

void Fd::Reset() {
  if (fd_ >= 0) close(Release());
}

Result<std::string> ReadFile(const std::string& path, size_t bytes_max) {
  Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus(errno, "read " + path);
  std::string content;
  while (true) {
    size_t had = content.size();
    // One byte more than allowed tells a file that is too long from one that just fits.
    size_t chunk = had == 0 ? kFirstReadBytes : kReadChunkBytes;
    size_t want = std::min(chunk, bytes_max + 1 - had);
    content.resize(had + want);
    ssize_t got = read(fd.get(), content.data() + had, want);
    content.resize(had + static_cast<size_t>(std::max<ssize_t>(got, 0)));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, "read " + path);
    if (got == 0) return content;
    if (content.size() > bytes_max) {
      return ResourceExhausted(path + " is larger than the " + std::to_string(bytes_max) +
                               " bytes that are read from such a file");
    }
  }
}

Status WriteFileAtomic(const std::string& path, std::string_view content, mode_t mode) {
  std::string temporary = ParentOf(path) + "/." + BaseOf(path) + "." +
                          HexEncode(SystemRandom().Bytes(kTemporaryNameRandomBytes)) + ".tmp";
  // Owner-only from the first moment; FillTemporary gives the mode that was asked for.
  Fd fd = OpenToChange(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  if (!fd.valid()) return ErrnoStatus(errno, "make " + temporary);
  Status status = FillTemporary(fd.get(), temporary, content, mode);
  if (status.ok() &&
      (Fails(Change::kRename, path) || rename(temporary.c_str(), path.c_str()) != 0)) {
    status = ErrnoStatus(errno, "replace " + path);
  }
  if (!status.ok()) {
    Unlink(temporary);
    return status;
  }
  return SyncDirectory(ParentOf(path));
}

Status RemoveFile(const std::string& path) {
  if (!Unlink(path)) {
    return errno == ENOENT ? OkStatus() : ErrnoStatus(errno, "remove " + path);
  }
  return SyncDirectory(ParentOf(path));
}

Status MakeDirectories(const std::string& path, mode_t mode) {
  const std::string last(path.ends_with('/') ? std::string_view(path).substr(0, path.size() - 1)
                                             : std::string_view(path));
  for (size_t end = last.find('/', 1); end != std::string::npos; end = last.find('/', end + 1)) {
    TRY(MakeDirectory(last.substr(0, end), kParentMode));
  }
  return last.empty() ? OkStatus() : MakeDirectory(last, mode);  // the root is there
}

Status CheckUsableDirectory(const std::string& path) {
  std::string there = path;
  struct stat info {};
  while (stat(there.c_str(), &info) != 0) {
    const size_t slash = there.find_last_of('/');
    if (errno != ENOENT || slash == std::string::npos || there == "/") {
      return ErrnoStatus(errno, "look at " + there);
    }
    there.resize(std::max<size_t>(slash, 1));
  }
  if (!S_ISDIR(info.st_mode)) return FailedPrecondition(there + " is no directory");
  const bool is_there = there.size() == path.size();
  if (access(there.c_str(), is_there ? R_OK | W_OK | X_OK : W_OK | X_OK) == 0) return OkStatus();
  if (!is_there) return ErrnoStatus(errno, "make a directory in " + there);
  return ErrnoStatus(errno, "use " + there);
}

Status CheckUsableFile(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) {
    if (errno != ENOENT) return ErrnoStatus(errno, "look at " + path);
    const std::string parent = ParentOf(path);
    if (access(parent.c_str(), W_OK | X_OK) == 0) return OkStatus();
    return ErrnoStatus(errno, "make a file in " + parent);
  }
  if (!S_ISREG(info.st_mode)) return FailedPrecondition(path + " is no file");
  if (access(path.c_str(), R_OK | W_OK) == 0) return OkStatus();
  return ErrnoStatus(errno, "use " + path);
}

Status CheckUsableSocket(const std::string& path) {
  struct stat info {};
  if (lstat(path.c_str(), &info) == 0 && !S_ISSOCK(info.st_mode)) {
    return FailedPrecondition(path + " exists and is not a socket");
  }
  return CheckUsableDirectory(ParentOf(path));
}

Result<std::vector<std::string>> ListDirectory(const std::string& path) {
  std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir(path.c_str()), closedir);
  if (directory == nullptr) return ErrnoStatus(errno, "list " + path);
  std::vector<std::string> names;
  while (true) {
    errno = 0;
    const dirent* entry = readdir(directory.get());
    if (entry == nullptr) break;
    struct stat info {};
    if (fstatat(dirfd(directory.get()), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) continue;  // went meanwhile
      return ErrnoStatus(errno, "look at " + path + "/" + Printable(entry->d_name));
    }
    if (!S_ISREG(info.st_mode)) continue;
    if (names.size() == kDirectoryFilesMax) {
      return ResourceExhausted(path + " holds more than " + std::to_string(kDirectoryFilesMax) +
                               " files");
    }
    names.emplace_back(entry->d_name);
  }
  if (errno != 0) return ErrnoStatus(errno, "list " + path);
  std::ranges::sort(names);
  return names;
}

Status SyncDirectory(const std::string& path) {
  Fd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus(errno, "open directory " + path);
  if (!SyncWhole(fd.get(), path)) return ErrnoStatus(errno, "sync directory " + path);
  return OkStatus();
}

Fd OpenToChange(const std::string& path, int flags, mode_t mode) {
  if (Fails(Change::kOpen, path)) return Fd();
  return Fd(open(path.c_str(), flags | O_CLOEXEC, mode));
}

bool WriteWhole(int fd, std::string_view content, const std::string& path) {
  if (!Fails(Change::kWrite, path)) return WriteSome(fd, content);
  const int error = errno;
  if (error == ENOSPC) WriteSome(fd, content.substr(0, content.size() / 2));
  errno = error;
  return false;
}

bool SyncContent(int fd, const std::string& path) {
  return !Fails(Change::kSync, path) && fdatasync(fd) == 0;
}

bool TruncateFile(int fd, size_t size, const std::string& path) {
  return !Fails(Change::kTruncate, path) && ftruncate(fd, static_cast<off_t>(size)) == 0;
}

void SetFileFaults(FileFaults* faults) { file_faults.store(faults, std::memory_order_release); }

// flock rather than a POSIX record lock: the latter would be dropped by any close of the file in
// this process. The file itself stays, since removing it would let two processes lock two files.
Result<FileLock> FileLock::Take(const std::string& path) {
  Fd fd = OpenToChange(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
  if (!fd.valid()) return ErrnoStatus(errno, "open lock file " + path);
  while (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) return ErrnoStatus(errno, "lock " + path);
    std::array<char, 32> holder{};
    ssize_t got = pread(fd.get(), holder.data(), holder.size(), 0);
    std::string_view pid(holder.data(), static_cast<size_t>(std::max<ssize_t>(got, 0)));
    pid = pid.substr(0, pid.find('\n'));
    return FailedPrecondition(path + " is locked by " +
                              (pid.empty() ? "another process" : "process " + Printable(pid)) +
                              "; stop it first, or use another directory");
  }
  std::string pid = std::to_string(getpid()) + "\n";
  if (!TruncateFile(fd.get(), 0, path)) return ErrnoStatus(errno, "empty lock file " + path);
  // Whose it is stands there for a message alone: on a full disk the lock holds without it.
  if (!WriteWhole(fd.get(), pid, path)) TruncateFile(fd.get(), 0, path);
  return FileLock(std::move(fd));
}

}  // namespace writ
