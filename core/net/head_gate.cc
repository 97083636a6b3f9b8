// SPDX-License-Identifier: Apache-2.0
#include "core/net/head_gate.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <string_view>
#include <utility>

namespace writ {
namespace {

enum class Head { kIncomplete, kComplete, kLost };

Head LookAt(int socket) {
  char bytes[kHeadBytesMax];
  ssize_t got = recv(socket, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
  if (got < 0) return errno == EAGAIN || errno == EINTR ? Head::kIncomplete : Head::kLost;
  std::string_view head(bytes, static_cast<size_t>(got));
  // One that is too long is the parser's to refuse.
  if (head.size() == kHeadBytesMax || head.find("\r\n\r\n") != std::string_view::npos) {
    return Head::kComplete;
  }
  return head.empty() ? Head::kLost : Head::kIncomplete;
}

}  // namespace

Result<std::unique_ptr<HeadGate>> HeadGate::Start(Clock* clock, std::function<void(Fd)> ready) {
  std::unique_ptr<HeadGate> gate(new HeadGate(clock, std::move(ready)));
  gate->loop_ = TRY(EventLoop::Start("http-head", clock));
  return gate;
}

HeadGate::~HeadGate() {
  if (loop_ != nullptr) loop_->Stop();
}

void HeadGate::Hold(Fd socket) {
  auto shared = std::make_shared<Fd>(std::move(socket));
  (void)loop_->Post([this, shared] { Admit(std::move(*shared)); });
}

void HeadGate::Admit(Fd socket) {
  if (held_.size() >= kHeldHeadsMax) (void)Release(held_.begin()->first);
  const uint64_t id = next_id_++;
  Result<EventLoop::WatchId> watch = loop_->Watch(socket.get(), EPOLLIN | EPOLLRDHUP | EPOLLET,
                                                  [this, id](uint32_t) { Look(id); });
  if (!watch.ok()) return;
  EventLoop::TimerId deadline =
      loop_->At(clock_->Monotonic() + kHeadDeadline, [this, id] { (void)Release(id); });
  held_.emplace(id, Held{std::move(socket), *watch, deadline});
}

void HeadGate::Look(uint64_t id) {
  auto it = held_.find(id);
  if (it == held_.end()) return;
  switch (LookAt(it->second.socket.get())) {
    case Head::kIncomplete:
      return;
    case Head::kComplete:
      return ready_(Release(id));
    case Head::kLost:
      (void)Release(id);
  }
}

Fd HeadGate::Release(uint64_t id) {
  auto node = held_.extract(id);
  if (node.empty()) return Fd();
  loop_->Unwatch(node.mapped().watch);
  loop_->Cancel(node.mapped().deadline);
  return std::move(node.mapped().socket);
}

}  // namespace writ
