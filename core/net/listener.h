// SPDX-License-Identifier: Apache-2.0
//
// Listening sockets: Unix sockets whose rights are right from the first moment, and TCP.
//
// Trust: paths and addresses come from the configuration. Threads: free functions.
#pragma once

#include <string>

#include "core/base/file.h"
#include "core/base/status.h"

namespace writ {

// A Unix listener: path, mode set explicitly with no moment of wider rights, group by name (""
// leaves it).
struct UnixListenerOptions {
  std::string path;
  unsigned mode = 0660;
  std::string group;
  unsigned directory_mode = 0750;  // of the directory, when it is made
};

// Whether the group can be given to a socket; "" always can.
Status CheckSocketGroup(const std::string& group);

// A bound and listening Unix socket. A stale socket at the path is replaced: the caller holds the
// data directory's lock, so nobody else serves it. Anything there but a socket is left alone and
// refused. The destructor removes the path, unless another socket stands there by now.
class UnixListener {
 public:
  static Result<UnixListener> Bind(const UnixListenerOptions& options);
  UnixListener(UnixListener&& other) noexcept = default;
  UnixListener& operator=(UnixListener&&) = delete;
  ~UnixListener();

  int fd() const { return fd_.get(); }

 private:
  UnixListener(Fd fd, std::string path, dev_t device, ino_t inode);

  Fd fd_;
  std::string path_;
  dev_t device_;
  ino_t inode_;
};

struct HostPort {
  std::string host;  // without brackets; empty means every address
  std::string port;
};
// "host:port", "1.2.3.4:8081", "[::1]:8081", ":8081".
Result<HostPort> ParseHostPort(const std::string& address);

// A bound and listening TCP socket at an IP address and port (0 picks one).
Result<Fd> ListenTcp(const std::string& address);
// For a connection in either direction: no delay of small writes, and a peer that has silently gone
// is noticed.
void TuneTcp(int socket_fd);
// The port that a bound socket has.
int PortOf(int socket_fd);

}  // namespace writ
