// SPDX-License-Identifier: Apache-2.0
#include "core/net/peer.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>
#include <utility>

namespace writ {
namespace {

constexpr int kSoPeerPidfd = 77;  // SO_PEERPIDFD; Debian 12's headers are older than it
constexpr size_t kProcFileBytesMax = 64 << 10;
constexpr uint64_t kNanosecondsPerSecond = 1'000'000'000;

std::string ErrnoText(int error) { return std::strerror(error); }

Result<uint64_t> ParseNumber(std::string_view text, const std::string& where) {
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return Internal(where + " does not hold a number where one was expected");
  }
  return value;
}

// The word number `index` (from 0) of `text`, words being separated by blanks; empty when absent.
std::string_view Word(std::string_view text, size_t index) {
  constexpr std::string_view kBlanks = " \t";
  while (true) {
    size_t begin = text.find_first_not_of(kBlanks);
    if (begin == std::string_view::npos) return {};
    text.remove_prefix(begin);
    size_t length = std::min(text.find_first_of(kBlanks), text.size());
    if (index == 0) return text.substr(0, length);
    text.remove_prefix(length);
    --index;
  }
}

// Field 22 of /proc/<pid>/stat. The command name (field 2) may hold anything, so fields are counted
// from its closing parenthesis, the last one in the line.
Result<uint64_t> StartTicks(pid_t pid) {
  std::string path = "/proc/" + std::to_string(pid) + "/stat";
  std::string stat = TRY(ReadFile(path, kProcFileBytesMax));
  size_t end_of_name = stat.rfind(')');
  if (end_of_name == std::string::npos) return Internal(path + " has no command name");
  constexpr size_t kStartTimeAfterName = 22 - 3;  // the first field after the name is number 3
  return ParseNumber(Word(std::string_view(stat).substr(end_of_name + 1), kStartTimeAfterName),
                     path);
}

// The effective one of the four IDs in a line "Uid:\t0\t0\t0\t0" of /proc/<pid>/status.
Result<uint64_t> EffectiveId(std::string_view status, std::string_view key,
                             const std::string& path) {
  std::string needle = "\n" + std::string(key) + ":";
  size_t begin = status.find(needle);
  if (begin == std::string_view::npos) return Internal(path + " has no " + std::string(key));
  std::string_view line = status.substr(begin + needle.size());
  line = line.substr(0, line.find('\n'));
  return ParseNumber(Word(line, 1), path);
}

// The effective user and group.
Result<std::pair<uint64_t, uint64_t>> EffectiveIds(pid_t pid) {
  std::string path = "/proc/" + std::to_string(pid) + "/status";
  std::string status = TRY(ReadFile(path, kProcFileBytesMax));
  uint64_t uid = TRY(EffectiveId(status, "Uid", path));
  uint64_t gid = TRY(EffectiveId(status, "Gid", path));
  return std::pair(uid, gid);
}

bool PidfdAlive(int pidfd) {
  pollfd entry{.fd = pidfd, .events = POLLIN, .revents = 0};
  int ready;
  do {
    ready = poll(&entry, 1, 0);
  } while (ready < 0 && errno == EINTR);
  return ready == 0;  // readable means exited; an error counts as exited
}

bool HungUp(int socket_fd) {
  pollfd entry{.fd = socket_fd, .events = POLLRDHUP, .revents = 0};
  int ready;
  do {
    ready = poll(&entry, 1, 0);
  } while (ready < 0 && errno == EINTR);
  return ready != 0;
}

Status Exited(pid_t pid) {
  return Unavailable("process " + std::to_string(pid) + " has exited since it connected");
}

// What a kernel without SO_PEERPIDFD allows: a pidfd by number, and proof that the number still
// meant the process that connected. The pidfd is opened first and its process found alive after
// this, so that all of /proc in between was about that process.
Result<Fd> OpenAndProve(int socket_fd, const ucred& credentials, uint64_t accepted_at_ticks) {
  pid_t pid = credentials.pid;
  Fd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd.valid()) {
    if (errno == ESRCH) return Exited(pid);
    return Internal("pidfd_open of caller " + std::to_string(pid) + ": " + ErrnoText(errno));
  }
  uint64_t started_at = TRY(StartTicks(pid), "read the caller's start time");
  if (started_at > accepted_at_ticks) {
    return PermissionDenied("process " + std::to_string(pid) +
                            " started after the connection was made: the process ID was reused");
  }
  const auto [uid, gid] = TRY(EffectiveIds(pid), "read the caller's identity");
  if (uid != credentials.uid || gid != credentials.gid) {
    return PermissionDenied("process " + std::to_string(pid) +
                            " runs as another user or group than when it connected");
  }
  if (HungUp(socket_fd)) return Unavailable("the caller has closed its connection");
  return pidfd;
}

}  // namespace

bool Caller::Alive() const { return PidfdAlive(pidfd_.get()); }

PeerPidfd KernelPeerPidfd() {
  return [](int socket_fd) {
    int pidfd = -1;
    socklen_t size = sizeof pidfd;
    if (getsockopt(socket_fd, SOL_SOCKET, kSoPeerPidfd, &pidfd, &size) != 0) return -errno;
    return pidfd;
  };
}

Result<std::shared_ptr<const Caller>> IdentifyPeer(int socket_fd, uint64_t accepted_at_ticks,
                                                   const PeerPidfd& peer_pidfd) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (getsockopt(socket_fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
    return Internal("SO_PEERCRED: " + ErrnoText(errno));
  }
  if (credentials.pid <= 0) {
    return FailedPrecondition(
        "the caller's process is not visible from this PID namespace: run in the host's");
  }
  int answer = peer_pidfd(socket_fd);
  Fd pidfd;
  if (answer >= 0) {
    pidfd = Fd(answer);
  } else if (answer == -ENOPROTOOPT) {
    pidfd = TRY(OpenAndProve(socket_fd, credentials, accepted_at_ticks));
  } else if (answer == -ESRCH || answer == -ENODATA || answer == -EINVAL) {
    return Exited(credentials.pid);  // kernels differ in how they say so
  } else {
    return Internal("SO_PEERPIDFD: " + ErrnoText(-answer));
  }
  if (!PidfdAlive(pidfd.get())) return Exited(credentials.pid);
  return std::make_shared<const Caller>(credentials.pid, credentials.uid, credentials.gid,
                                        std::move(pidfd));
}

Result<std::shared_ptr<const Caller>> IdentifyProcess(pid_t pid) {
  if (pid <= 0) return InvalidArgument("a process ID is a positive number");
  Fd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd.valid()) {
    if (errno == ESRCH) return NotFound("there is no process " + std::to_string(pid));
    if (errno == ENOENT || errno == EINVAL) {  // the latter before Linux 6.9
      return NotFound(std::to_string(pid) + " is a thread of a process: ask about the process");
    }
    return Internal("pidfd_open of process " + std::to_string(pid) + ": " + ErrnoText(errno));
  }
  const auto [uid, gid] = TRY(EffectiveIds(pid));
  if (!PidfdAlive(pidfd.get())) {
    return NotFound("process " + std::to_string(pid) + " has just exited");
  }
  return std::make_shared<const Caller>(pid, static_cast<uid_t>(uid), static_cast<gid_t>(gid),
                                        std::move(pidfd));
}

uint64_t NowTicks() {
  timespec now{};
  CHECK(clock_gettime(CLOCK_BOOTTIME, &now) == 0);
  auto ticks_per_second = static_cast<uint64_t>(sysconf(_SC_CLK_TCK));
  return static_cast<uint64_t>(now.tv_sec) * ticks_per_second +
         static_cast<uint64_t>(now.tv_nsec) * ticks_per_second / kNanosecondsPerSecond;
}

}  // namespace writ
