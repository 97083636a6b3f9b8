// SPDX-License-Identifier: Apache-2.0
#include "core/net/preface_gate.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>

namespace writ {

struct PrefaceGate::Held {
  Fd socket;
  std::function<void(Fd)> pass;
  EventLoop::WatchId watch = 0;
  EventLoop::TimerId timer;
};

void PrefaceGate::Hold(Fd socket, std::function<void(Fd)> pass) {
  auto held = std::make_shared<Held>(Held{std::move(socket), std::move(pass)});
  // Edge-triggered: bytes that stay in the socket must not wake the loop again and again.
  Result<EventLoop::WatchId> watch =
      loop_->Watch(held->socket.get(), EPOLLIN | EPOLLRDHUP | EPOLLET,
                   [this, held](uint32_t events) { Look(*held, events); });
  if (!watch.ok()) return;
  held->watch = *watch;
  held->timer = loop_->At(clock_->Monotonic() + deadline_, [this, held] { LetGo(*held); });
}

void PrefaceGate::Look(Held& held, uint32_t events) {
  std::array<char, kHttp2Preface.size()> bytes;
  ssize_t count = recv(held.socket.get(), bytes.data(), bytes.size(), MSG_PEEK | MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  std::string_view seen(bytes.data(), count > 0 ? static_cast<size_t>(count) : 0);
  if (seen == kHttp2Preface) {
    loop_->Cancel(held.timer);
    loop_->Unwatch(held.watch);
    held.pass(std::move(held.socket));
    return;
  }
  bool more_may_come = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) == 0;
  if (!more_may_come || seen.empty() || !kHttp2Preface.starts_with(seen)) LetGo(held);
}

void PrefaceGate::LetGo(Held& held) {
  loop_->Cancel(held.timer);
  loop_->Unwatch(held.watch);
  held.socket.Reset();
}

}  // namespace writ
