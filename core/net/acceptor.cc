// SPDX-License-Identifier: Apache-2.0
#include "core/net/acceptor.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/net/peer.h"

namespace writ {
namespace {

constexpr int kAcceptsPerTurn = 64;
constexpr Duration kPause = std::chrono::milliseconds(100);
constexpr rlim_t kKeptMax = 32;

Fd OpenReserve() { return Fd(open("/dev/null", O_RDONLY | O_CLOEXEC)); }

// Whether a new connection's descriptor is one of the last, which are kept for what the connections
// that are open need done: a caller's files in /proc, our own files, the agent's way to its server.
// The kernel gives the lowest number that is free.
bool IsKept(int fd) {
  rlimit limit{};
  CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  return static_cast<rlim_t>(fd) + std::min(kKeptMax, limit.rlim_cur / 8) >= limit.rlim_cur;
}

}  // namespace

Acceptor::Acceptor(std::string name, EventLoop* loop, ClientLimits* limits, Clock* clock,
                   Log* log)
    : name_(std::move(name)),
      loop_(loop),
      limits_(limits),
      clock_(clock),
      log_(log),
      reserve_(OpenReserve()),
      warnings_(clock) {}

Status Acceptor::Add(int listener, OnAccept on_accept) {
  auto listening = std::make_unique<Listening>(Listening{listener, 0, std::move(on_accept)});
  Listening* raw = listening.get();
  raw->watch = TRY(loop_->Watch(listener, EPOLLIN, [this, raw](uint32_t) { AcceptSome(*raw); }));
  listening_.push_back(std::move(listening));
  return OkStatus();
}

void Acceptor::Close() {
  for (const auto& listening : listening_) loop_->Unwatch(listening->watch);
  listening_.clear();
}

void Acceptor::AcceptSome(Listening& listening) {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    if (!AcceptOne(listening)) return;
  }
}

bool Acceptor::AcceptOne(Listening& listening) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  Fd socket(accept4(listening.fd, reinterpret_cast<sockaddr*>(&address), &size,
                    SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!socket.valid()) {
    switch (errno) {
      case EAGAIN:
        return false;
      case EMFILE:
      case ENFILE:
        OutOfDescriptors(listening.fd);
        return false;
      case ENOBUFS:
      case ENOMEM:
        WarnAtTimes("Connections wait: the system is short of memory");
        Pause();
        return false;
      default:
        return true;  // this one connection was lost before it was taken
    }
  }
  if (!reserve_.valid()) reserve_ = OpenReserve();
  if (IsKept(socket.get())) {
    WarnOfDescriptors();
    Pause();
    return false;
  }
  uint64_t at_ticks = NowTicks();
  std::shared_ptr<ClientLimits::Place> place = limits_->Enter();
  if (place == nullptr) {
    WarnAtTimes("Connection refused: the limit of open connections is reached");
    return true;
  }
  listening.on_accept(
      Accepted{std::move(socket), at_ticks, IpAddress::FromSocket(address), std::move(place)});
  return true;
}

// A connection that cannot be accepted would keep the listener readable for ever: it is taken with
// the reserve's descriptor and closed, so that its client learns of it and the loop goes on.
void Acceptor::OutOfDescriptors(int listener) {
  WarnOfDescriptors();
  reserve_.Reset();
  Fd refused(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
  refused.Reset();
  reserve_ = OpenReserve();
  Pause();
}

void Acceptor::WarnOfDescriptors() {
  WarnAtTimes("Connections refused: file descriptors run out; raise the limit (LimitNOFILE)");
}

void Acceptor::Pause() {
  if (paused_) return;
  paused_ = true;
  for (const auto& listening : listening_) loop_->Rearm(listening->watch, 0);
  loop_->At(clock_->Monotonic() + kPause, [this] {
    paused_ = false;
    for (const auto& listening : listening_) loop_->Rearm(listening->watch, EPOLLIN);
  });
}

void Acceptor::WarnAtTimes(const std::string& sentence) {
  if (!warnings_.Due()) return;
  log_->Warn(sentence, {{"listener", name_}, {"open_connections", limits_->Open()}});
}

}  // namespace writ
