// SPDX-License-Identifier: Apache-2.0
#include "core/net/listener.h"

#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

namespace writ {
namespace {

constexpr int kBacklog = 1024;
constexpr int kKeepaliveIdleSeconds = 30;
constexpr int kKeepaliveIntervalSeconds = 10;
constexpr int kKeepaliveProbes = 3;
constexpr int kUnackedMillisMax = 30'000;
constexpr mode_t kStagingMode = 0700;
constexpr size_t kGroupBufferMax = 1 << 20;
constexpr gid_t kGroupUnchanged = static_cast<gid_t>(-1);
constexpr uid_t kOwnerUnchanged = static_cast<uid_t>(-1);

Status Failed(const std::string& deed, const std::string& path) {
  std::string message = deed + " " + path + ": " + std::strerror(errno);
  if (errno == EACCES || errno == EPERM) return PermissionDenied(std::move(message));
  if (errno == EADDRINUSE) {
    return FailedPrecondition(std::move(message) + "; stop what listens there or choose another");
  }
  return Unavailable(std::move(message));
}

Result<gid_t> FindGroup(const std::string& name) {
  if (name.empty()) return kGroupUnchanged;
  std::vector<char> buffer(1024);
  while (true) {
    group entry{};
    group* found = nullptr;
    int error = getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
    if (error == ERANGE && buffer.size() < kGroupBufferMax) {
      buffer.resize(buffer.size() * 2);
      continue;
    }
    if (error != 0) return Internal("look up group " + name + ": " + std::strerror(error));
    if (found == nullptr) {
      return NotFound("there is no group \"" + name + "\": create it or name another");
    }
    return found->gr_gid;
  }
}

// The directory of the socket, made when it is missing. Its parents are for everybody to pass.
Status MakeSocketDirectory(const std::string& directory, mode_t mode, gid_t group) {
  struct stat found {};
  if (stat(directory.c_str(), &found) == 0) {
    if (S_ISDIR(found.st_mode)) return OkStatus();
    return FailedPrecondition(directory + " is not a directory");
  }
  TRY(MakeDirectories(directory, mode));
  if (group != kGroupUnchanged && chown(directory.c_str(), kOwnerUnchanged, group) != 0) {
    return Failed("give the group to", directory);
  }
  return OkStatus();
}

// A 0700 directory beside the socket's final place: what is in it nobody else can reach, whatever
// its mode, and a rename from it stays in one file system.
class StagingDirectory {
 public:
  static Result<StagingDirectory> Make(const std::string& path) {
    if (mkdir(path.c_str(), kStagingMode) != 0) {
      if (errno != EEXIST) return Failed("make", path);
      unlink((path + "/s").c_str());  // left by a crash
      if (rmdir(path.c_str()) != 0) return Failed("remove the old", path);
      if (mkdir(path.c_str(), kStagingMode) != 0) return Failed("make", path);
    }
    StagingDirectory made(path);
    if (chmod(path.c_str(), kStagingMode) != 0) return Failed("set the mode of", path);
    made.fd_ = Fd(open(path.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!made.fd_.valid()) return Failed("open", path);
    return made;
  }
  StagingDirectory(StagingDirectory&& other) noexcept = default;
  ~StagingDirectory() {
    if (!fd_.valid()) return;
    unlink(Socket().c_str());
    rmdir(path_.c_str());
  }

  std::string Socket() const { return path_ + "/s"; }
  // The same, short enough for a socket address whatever the directory's path.
  std::string ShortSocket() const { return "/proc/self/fd/" + std::to_string(fd_.get()) + "/s"; }

 private:
  explicit StagingDirectory(std::string path) : path_(std::move(path)) {}

  std::string path_;
  Fd fd_;
};

sockaddr_un UnixAddress(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  CHECK(path.size() < sizeof address.sun_path);
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

Status RefuseWhatIsNoSocket(const std::string& path) {
  struct stat found {};
  if (lstat(path.c_str(), &found) != 0) {
    return errno == ENOENT ? OkStatus() : Failed("look at", path);
  }
  if (S_ISSOCK(found.st_mode)) return OkStatus();
  return FailedPrecondition(path + " exists and is not a socket: move it away or change the path");
}

}  // namespace

Status CheckSocketGroup(const std::string& group) { return FindGroup(group).status(); }

UnixListener::UnixListener(Fd fd, std::string path, dev_t device, ino_t inode)
    : fd_(std::move(fd)), path_(std::move(path)), device_(device), inode_(inode) {}

UnixListener::~UnixListener() {
  if (!fd_.valid()) return;
  struct stat found {};
  if (lstat(path_.c_str(), &found) != 0) return;
  if (found.st_dev == device_ && found.st_ino == inode_) unlink(path_.c_str());
}

Result<UnixListener> UnixListener::Bind(const UnixListenerOptions& options) {
  const std::string& path = options.path;
  size_t slash = path.rfind('/');
  if (path.empty() || path.front() != '/' || slash + 1 == path.size()) {
    return InvalidArgument("a socket's path must be absolute and name a file, not \"" + path +
                           "\"");
  }
  if (path.size() >= sizeof(sockaddr_un::sun_path)) {
    return InvalidArgument("the socket path " + path + " has " + std::to_string(path.size()) +
                           " bytes; at most " + std::to_string(sizeof(sockaddr_un::sun_path) - 1) +
                           " are possible");
  }
  gid_t group = TRY(FindGroup(options.group));
  std::string directory = slash == 0 ? "/" : path.substr(0, slash);
  TRY(MakeSocketDirectory(directory, options.directory_mode, group));
  TRY(RefuseWhatIsNoSocket(path));

  StagingDirectory staging = TRY(
      StagingDirectory::Make(path.substr(0, slash + 1) + "." + path.substr(slash + 1) + ".new"));
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return Failed("make a socket for", path);
  sockaddr_un address = UnixAddress(staging.ShortSocket());
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    return Failed("bind", path);
  }
  std::string staged = staging.Socket();
  if (group != kGroupUnchanged && lchown(staged.c_str(), kOwnerUnchanged, group) != 0) {
    return Failed("give the group " + options.group + " to", path);
  }
  if (chmod(staged.c_str(), options.mode) != 0) return Failed("set the mode of", path);
  if (listen(fd.get(), kBacklog) != 0) return Failed("listen on", path);
  struct stat made {};
  if (lstat(staged.c_str(), &made) != 0) return Failed("look at", staged);
  if (rename(staged.c_str(), path.c_str()) != 0) return Failed("put in place", path);
  return UnixListener(std::move(fd), path, made.st_dev, made.st_ino);
}

Result<HostPort> ParseHostPort(const std::string& address) {
  auto wrong = [&](const std::string& why) {
    return InvalidArgument("\"" + address + "\" is not host:port: " + why);
  };
  size_t colon = address.rfind(':');
  if (colon == std::string::npos) return wrong("there is no port");
  HostPort parts{address.substr(0, colon), address.substr(colon + 1)};
  if (parts.host.starts_with('[') && parts.host.ends_with(']')) {
    parts.host = parts.host.substr(1, parts.host.size() - 2);
  } else if (parts.host.find_first_of(":[]") != std::string::npos) {
    return wrong("write an IPv6 address in brackets");
  }
  unsigned port = 0;
  const char* end = parts.port.data() + parts.port.size();
  auto [stop, error] = std::from_chars(parts.port.data(), end, port);
  if (error != std::errc() || stop != end || port > 65535) {
    return wrong("the port must be a number from 0 to 65535");
  }
  return parts;
}

Result<Fd> ListenTcp(const std::string& address) {
  HostPort parts = TRY(ParseHostPort(address));
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const char* host = parts.host.empty() ? "::" : parts.host.c_str();
  int error = getaddrinfo(host, parts.port.c_str(), &hints, &found);
  if (error != 0) {
    return InvalidArgument("listen address \"" + address +
                           "\" must be an IP address and a port: " + gai_strerror(error));
  }
  std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owned(found, &freeaddrinfo);
  Fd fd(socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return Failed("make a socket for", address);
  int on = 1;
  int off = 0;
  if (setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) {
    return Failed("set SO_REUSEADDR for", address);
  }
  if (parts.host.empty() &&
      setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) != 0) {
    return Failed("listen for IPv4 and IPv6 on", address);
  }
  if (bind(fd.get(), found->ai_addr, found->ai_addrlen) != 0) return Failed("bind", address);
  if (listen(fd.get(), kBacklog) != 0) return Failed("listen on", address);
  return fd;
}

void TuneTcp(int socket_fd) {
  auto set = [socket_fd](int level, int option, int value) {
    // Advisory: a connection that lacks one of these still works.
    (void)setsockopt(socket_fd, level, option, &value, sizeof value);
  };
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, kKeepaliveIdleSeconds);
  set(IPPROTO_TCP, TCP_KEEPINTVL, kKeepaliveIntervalSeconds);
  set(IPPROTO_TCP, TCP_KEEPCNT, kKeepaliveProbes);
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, kUnackedMillisMax);
}

int PortOf(int socket_fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  CHECK(getsockname(socket_fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  if (address.ss_family == AF_INET) {
    return ntohs(reinterpret_cast<sockaddr_in*>(&address)->sin_port);
  }
  return ntohs(reinterpret_cast<sockaddr_in6*>(&address)->sin6_port);
}

}  // namespace writ
