// SPDX-License-Identifier: Apache-2.0
//
// Caller: who is at the other end of a Unix socket, by what the kernel says, bound to a pidfd so
// that a recycled process ID never gets another's identity.
//
// Implements SPIFFE Workload Endpoint section 3 and 4 (the caller is known without authenticating).
// Trust: the peer is hostile; nothing it says counts. Threads: Caller is immutable and shared.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "core/base/file.h"
#include "core/base/status.h"

namespace writ {

class Caller {
 public:
  Caller(pid_t pid, uid_t uid, gid_t gid, Fd pidfd)
      : pid_(pid), uid_(uid), gid_(gid), pidfd_(std::move(pidfd)) {}

  pid_t pid() const { return pid_; }
  uid_t uid() const { return uid_; }  // effective, when it connected
  gid_t gid() const { return gid_; }
  // Still the process that connected? False once it has exited (a zombie counts as exited). To be
  // asked after everything that was read from /proc/<pid>.
  bool Alive() const;

 private:
  const pid_t pid_;
  const uid_t uid_;
  const gid_t gid_;
  const Fd pidfd_;
};

// SO_PEERPIDFD, injected so that tests run the path of kernels before 6.5 (ENOPROTOOPT) as well.
using PeerPidfd = std::function<int(int socket_fd)>;  // a descriptor, or -errno
PeerPidfd KernelPeerPidfd();

// Identifies the peer of a connected Unix socket. Without SO_PEERPIDFD: pidfd_open, then refused
// when the process started after `accepted_at_ticks` (see NowTicks), its effective uid or gid is
// not SO_PEERCRED's, or the socket is hung up.
Result<std::shared_ptr<const Caller>> IdentifyPeer(int socket_fd, uint64_t accepted_at_ticks,
                                                   const PeerPidfd& peer_pidfd);
// A process of this machine that has not connected: for operators, who name it by its number.
Result<std::shared_ptr<const Caller>> IdentifyProcess(pid_t pid);
// Clock ticks since boot, the unit of a process's start time in /proc/<pid>/stat.
uint64_t NowTicks();

}  // namespace writ
