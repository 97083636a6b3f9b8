// SPDX-License-Identifier: Apache-2.0
#include "core/base/process.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <string>

#include "core/base/environment.h"

namespace writ {

StopSignal::StopSignal() {
  sigset_t blocked;
  sigemptyset(&blocked);
  for (int signal : {SIGPIPE, SIGXFSZ, SIGTERM, SIGINT, SIGHUP}) sigaddset(&blocked, signal);
  CHECK(pthread_sigmask(SIG_BLOCK, &blocked, nullptr) == 0);
  sigset_t waited;
  sigemptyset(&waited);
  for (int signal : {SIGTERM, SIGINT}) sigaddset(&waited, signal);
  signals_ = Fd(signalfd(-1, &waited, SFD_CLOEXEC));
  sigset_t hangup;
  sigemptyset(&hangup);
  sigaddset(&hangup, SIGHUP);
  hangups_ = Fd(signalfd(-1, &hangup, SFD_CLOEXEC));
  stopped_ = Fd(eventfd(0, EFD_CLOEXEC));
  CHECK(signals_.valid() && hangups_.valid() && stopped_.valid());
}

void StopSignal::Wait() {
  pollfd events[] = {{.fd = signals_.get(), .events = POLLIN},
                     {.fd = stopped_.get(), .events = POLLIN}};
  while (poll(events, std::size(events), -1) < 0) CHECK(errno == EINTR);
}

bool StopSignal::WaitForReload() {
  pollfd events[] = {{.fd = signals_.get(), .events = POLLIN},
                     {.fd = stopped_.get(), .events = POLLIN},
                     {.fd = hangups_.get(), .events = POLLIN}};
  while (poll(events, std::size(events), -1) < 0) CHECK(errno == EINTR);
  if ((events[0].revents | events[1].revents) != 0) return false;
  signalfd_siginfo taken;
  CHECK(read(hangups_.get(), &taken, sizeof(taken)) == sizeof(taken));
  return true;
}

void StopSignal::Stop() { CHECK(eventfd_write(stopped_.get(), 1) == 0); }

Status NotifyServiceManager(std::string_view state, std::chrono::milliseconds patience) {
  const Environment environment = ProcessEnvironment();
  const auto named = environment.find("NOTIFY_SOCKET");
  if (named == environment.end() || named->second.empty()) return OkStatus();
  std::string path = named->second;
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  if (path.size() >= sizeof(address.sun_path)) {
    return InvalidArgument("NOTIFY_SOCKET is longer than a socket's path may be");
  }
  if (path.front() == '@') path.front() = '\0';  // an abstract socket
  std::copy(path.begin(), path.end(), address.sun_path);
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  const Fd socket_fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  auto failed = [] {
    return Unavailable(std::string("tell the service manager: ") + strerror(errno));
  };
  if (!socket_fd.valid()) return failed();
  // Connected, so that poll() waits for room at the other end.
  if (connect(socket_fd.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0) {
    return failed();
  }
  pollfd room{.fd = socket_fd.get(), .events = POLLOUT, .revents = 0};
  while (poll(&room, 1, static_cast<int>(patience.count())) < 0) {
    if (errno != EINTR) return failed();
  }
  if (send(socket_fd.get(), state.data(), state.size(), MSG_NOSIGNAL) < 0) return failed();
  return OkStatus();
}

Status ForbidCoreDumps() {
  const rlimit none{.rlim_cur = 0, .rlim_max = 0};
  if (setrlimit(RLIMIT_CORE, &none) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
    return Internal(std::string("forbid core dumps: ") + strerror(errno));
  }
  return OkStatus();
}

void LimitHeaps() {
  constexpr int kHeapsMax = 4;
  (void)mallopt(M_ARENA_MAX, kHeapsMax);  // a sanitizer's allocator has no such thing
}

void ReturnFreeMemory() {
  constexpr size_t kFreeBytesMax = 4 << 20;
  if (mallinfo2().fordblks > kFreeBytesMax) malloc_trim(0);
}

void ReturnStartUpPages() {
  auto of_one_file = [](dl_phdr_info* file, size_t, void*) {
    const auto page = static_cast<uintptr_t>(getpagesize());
    for (size_t i = 0; i < file->dlpi_phnum; ++i) {
      const ElfW(Phdr)& part = file->dlpi_phdr[i];
      // What the loader has relocated lies in parts that were to be written.
      if (part.p_type != PT_LOAD || (part.p_flags & PF_W) != 0) continue;
      const uintptr_t begin = (file->dlpi_addr + part.p_vaddr + page - 1) / page * page;
      const uintptr_t end = (file->dlpi_addr + part.p_vaddr + part.p_memsz) / page * page;
      if (begin >= end) continue;
      // Advice: where the kernel does not take it (its own page of code), nothing changes.
      (void)madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
    }
    return 0;
  };
  dl_iterate_phdr(of_one_file, nullptr);
}

}  // namespace writ
