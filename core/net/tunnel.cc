// SPDX-License-Identifier: Apache-2.0
#include "core/net/tunnel.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "core/base/secret.h"
#include "core/net/http2_frames.h"

namespace writ {
namespace {

// What one connection may move before others have their turn.
constexpr size_t kBytesPerTurn = 256 << 10;

bool WouldBlock() { return errno == EAGAIN || errno == EINTR; }

}  // namespace

void Tunnel::Readable::Ready(uint32_t events) {
  constexpr uint32_t kEnd = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
  if ((events & kEnd) != 0) at_end = true;
  if ((events & (EPOLLIN | kEnd)) != 0) now = true;
}

void Tunnel::SocketReady(uint32_t events) {
  from_socket_.Ready(events);
  if (!wire_->ShortReadDrains()) from_socket_.now = true;
}

int Tunnel::ReadWire(std::span<char> buffer) {
  if (!from_socket_.now) return 0;
  int count = wire_->Read(buffer, failure_);
  if (count == 0) from_socket_.now = false;
  if (count > 0 && static_cast<size_t>(count) < buffer.size() && wire_->ShortReadDrains()) {
    from_socket_.Short();
  }
  return count;
}

Result<bool> Tunnel::CollectPreface() {
  std::array<char, 4096> buffer;
  while (down_.view().size() < kHttp2Preface.size()) {
    int count = ReadWire(buffer);
    if (count == 0) return false;
    if (count < 0) {
      if (!failure_.ok()) return failure_;
      return Unavailable("the peer left before it spoke");
    }
    std::string_view bytes(buffer.data(), static_cast<size_t>(count));
    down_.Append(bytes);
    const std::string_view begun = down_.view().substr(0, kHttp2Preface.size());
    if (!kHttp2Preface.starts_with(begun)) {
      return InvalidArgument("the peer does not speak HTTP/2");
    }
    if (watch_ != nullptr) TRY(watch_->FromWire(bytes));
  }
  return true;
}

Tunnel::Progress Tunnel::Pump(std::span<char> scratch) {
  size_t used = 0;  // at most, of scratch
  const Progress progress = Move(scratch, used);
  Wipe(scratch.data(), used);
  return progress;
}

Tunnel::Progress Tunnel::Move(std::span<char> scratch, size_t& used) {
  if (plain_ended_ && !plain_gone_) NoticePlainGone();
  bool down_blocked = false;
  bool up_blocked = false;
  size_t turns_left = 2 * kBytesPerTurn / scratch.size();
  while (!down_blocked || !up_blocked) {
    if (turns_left-- == 0) return Progress::kMore;
    if (!down_blocked) {
      Step step = Down(scratch, used);
      if (step == Step::kEnded) return Progress::kEnded;
      down_blocked = step == Step::kBlocked;
    }
    if (!up_blocked) {
      Step step = Up(scratch, used);
      if (step == Step::kEnded) return Progress::kEnded;
      up_blocked = step == Step::kBlocked;
    }
  }
  return wire_ended_ && wire_shut_ ? Progress::kEnded : Progress::kBlocked;
}

Tunnel::Step Tunnel::Down(std::span<char> scratch, size_t& used) {
  if (!FlushDown()) return Step::kBlocked;
  if (wire_ended_) {
    EndPlain();
    return Step::kBlocked;
  }
  int count = ReadWire(scratch);
  if (count == 0) return Step::kBlocked;
  if (count < 0) {
    wire_ended_ = true;
    return failure_.ok() ? Step::kMoved : Step::kEnded;
  }
  used = std::max(used, static_cast<size_t>(count));
  if (plain_gone_) return Step::kMoved;  // thrown away: nobody reads it
  std::string_view bytes(scratch.data(), static_cast<size_t>(count));
  if (watch_ != nullptr && !Allowed(watch_->FromWire(bytes))) return Step::kEnded;
  down_.Append(bytes);
  return Step::kMoved;
}

// True when nothing is left.
bool Tunnel::FlushDown() {
  while (!down_.empty()) {
    const std::string_view bytes = down_.view();
    ssize_t sent = send(plain_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
      if (WouldBlock()) return false;
      plain_gone_ = true;
      down_.Clear();
      break;
    }
    down_.Take(static_cast<size_t>(sent));
  }
  return true;
}

Tunnel::Step Tunnel::Up(std::span<char> scratch, size_t& used) {
  Step flushed = FlushUp();
  if (flushed != Step::kMoved) return flushed;
  if (plain_ended_) {
    EndWire();
    return Step::kBlocked;
  }
  if (!from_plain_.now) return Step::kBlocked;
  ssize_t count = recv(plain_.get(), scratch.data(), scratch.size(), MSG_DONTWAIT);
  if (count < 0 && WouldBlock()) {
    from_plain_.now = false;
    return Step::kBlocked;
  }
  if (count <= 0) {
    plain_ended_ = true;
    NoticePlainGone();
    return Step::kMoved;
  }
  used = std::max(used, static_cast<size_t>(count));
  if (static_cast<size_t>(count) < scratch.size()) from_plain_.Short();
  std::string_view bytes(scratch.data(), static_cast<size_t>(count));
  if (watch_ != nullptr && !Allowed(watch_->ToWire(bytes))) return Step::kEnded;
  up_.Append(bytes);
  return Step::kMoved;
}

// kMoved when nothing is left.
Tunnel::Step Tunnel::FlushUp() {
  while (!up_.empty()) {
    int sent = wire_->Write(up_.view(), failure_);
    if (sent == 0) return Step::kBlocked;
    if (sent < 0) return Step::kEnded;
    up_.Take(static_cast<size_t>(sent));
  }
  return Step::kMoved;
}

bool Tunnel::Allowed(const Status& verdict) {
  if (verdict.ok()) return true;
  failure_ = verdict;
  std::string words = watch_->LastWords();
  Status ignored;  // it may have left
  if (up_.empty() && !words.empty()) (void)wire_->Write(words, ignored);
  EndWire();
  return false;
}

// An end that has been closed hangs up; one that has only been shut for writing does not.
void Tunnel::NoticePlainGone() {
  pollfd entry{.fd = plain_.get(), .events = 0, .revents = 0};
  if (poll(&entry, 1, 0) > 0) plain_gone_ = true;
}

void Tunnel::EndPlain() {
  if (std::exchange(plain_shut_, true)) return;
  shutdown(plain_.get(), SHUT_WR);
}

void Tunnel::EndWire() {
  if (std::exchange(wire_shut_, true)) return;
  wire_->EndWriting();
  shutdown(socket_.get(), SHUT_WR);
}

}  // namespace writ
