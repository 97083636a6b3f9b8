// SPDX-License-Identifier: Apache-2.0
#include "core/net/tls_tunnel.h"

#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/net/preface_gate.h"

namespace writ {
namespace {

// What one connection may move before others have their turn.
constexpr size_t kBytesPerTurn = 256 << 10;

bool WouldBlock() { return errno == EAGAIN || errno == EINTR; }

}  // namespace

// More than 0: so many bytes. 0: nothing now. Less: the wire has ended (failure_ may say why).
int TlsTunnel::ReadWire(std::span<char> buffer) {
  ERR_clear_error();
  int count = SSL_read(session_->ssl(), buffer.data(), static_cast<int>(buffer.size()));
  if (count > 0) return count;
  switch (SSL_get_error(session_->ssl(), count)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return 0;
    case SSL_ERROR_ZERO_RETURN:
      break;
    case SSL_ERROR_SYSCALL:
      failure_ = Unavailable(std::string("connection lost: ") + std::strerror(errno));
      break;
    default:
      // An end without TLS's own goodbye is how most programs die; HTTP/2 knows what it missed.
      if (ERR_GET_REASON(ERR_peek_error()) != SSL_R_UNEXPECTED_EOF_WHILE_READING) {
        failure_ = Unavailable("connection lost: " + TakeOpensslError());
      }
      ERR_clear_error();
  }
  return -1;
}

Result<bool> TlsTunnel::CollectPreface() {
  std::array<char, 4096> buffer;
  while (down_.size() < kHttp2Preface.size()) {
    int count = ReadWire(buffer);
    if (count == 0) return false;
    if (count < 0) {
      if (!failure_.ok()) return failure_;
      return Unavailable("the peer left before it spoke");
    }
    down_.append(buffer.data(), static_cast<size_t>(count));
    size_t seen = std::min(down_.size(), kHttp2Preface.size());
    if (down_.compare(0, seen, kHttp2Preface.substr(0, seen)) != 0) {
      return InvalidArgument("the peer does not speak HTTP/2");
    }
  }
  return true;
}

void TlsTunnel::Attach(Fd plain, OnPlaintext on_plaintext) {
  plain_ = std::move(plain);
  on_plaintext_ = std::move(on_plaintext);
}

TlsTunnel::Progress TlsTunnel::Pump(std::span<char> scratch) {
  if (plain_ended_ && !plain_gone_) NoticePlainGone();
  bool down_blocked = false;
  bool up_blocked = false;
  size_t turns_left = 2 * kBytesPerTurn / scratch.size();
  while (!down_blocked || !up_blocked) {
    if (turns_left-- == 0) return Progress::kMore;
    if (!down_blocked) {
      Step step = Down(scratch);
      if (step == Step::kEnded) return Progress::kEnded;
      down_blocked = step == Step::kBlocked;
    }
    if (!up_blocked) {
      Step step = Up(scratch);
      if (step == Step::kEnded) return Progress::kEnded;
      up_blocked = step == Step::kBlocked;
    }
  }
  return wire_ended_ && wire_shut_ ? Progress::kEnded : Progress::kBlocked;
}

TlsTunnel::Step TlsTunnel::Down(std::span<char> scratch) {
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
  if (plain_gone_) return Step::kMoved;  // thrown away: nobody reads it
  std::string_view bytes(scratch.data(), static_cast<size_t>(count));
  if (on_plaintext_) on_plaintext_(bytes);
  down_.assign(bytes);
  return Step::kMoved;
}

// True when nothing is left.
bool TlsTunnel::FlushDown() {
  while (!down_.empty()) {
    ssize_t sent = send(plain_.get(), down_.data(), down_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
      if (WouldBlock()) return false;
      plain_gone_ = true;
      down_.clear();
      break;
    }
    down_.erase(0, static_cast<size_t>(sent));
  }
  down_.shrink_to_fit();  // idle connections hold no buffers
  return true;
}

TlsTunnel::Step TlsTunnel::Up(std::span<char> scratch) {
  Step flushed = FlushUp();
  if (flushed != Step::kMoved) return flushed;
  if (plain_ended_) {
    EndWire();
    return Step::kBlocked;
  }
  ssize_t count = recv(plain_.get(), scratch.data(), scratch.size(), MSG_DONTWAIT);
  if (count < 0 && WouldBlock()) return Step::kBlocked;
  if (count <= 0) {
    plain_ended_ = true;
    NoticePlainGone();
    return Step::kMoved;
  }
  up_.assign(scratch.data(), static_cast<size_t>(count));
  return Step::kMoved;
}

// kMoved when nothing is left.
TlsTunnel::Step TlsTunnel::FlushUp() {
  while (!up_.empty()) {
    ERR_clear_error();
    int sent = SSL_write(session_->ssl(), up_.data(), static_cast<int>(up_.size()));
    if (sent <= 0) {
      int error = SSL_get_error(session_->ssl(), sent);
      if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return Step::kBlocked;
      if (error == SSL_ERROR_SYSCALL) {
        failure_ = Unavailable(std::string("connection lost: ") + std::strerror(errno));
      } else {
        failure_ = Unavailable("connection lost: " + TakeOpensslError());
      }
      return Step::kEnded;
    }
    up_.erase(0, static_cast<size_t>(sent));
  }
  up_.shrink_to_fit();
  return Step::kMoved;
}

// An end that has been closed hangs up; one that has only been shut for writing does not.
void TlsTunnel::NoticePlainGone() {
  pollfd entry{.fd = plain_.get(), .events = 0, .revents = 0};
  if (poll(&entry, 1, 0) > 0) plain_gone_ = true;
}

void TlsTunnel::EndPlain() {
  if (std::exchange(plain_shut_, true)) return;
  shutdown(plain_.get(), SHUT_WR);
}

void TlsTunnel::EndWire() {
  if (std::exchange(wire_shut_, true)) return;
  ERR_clear_error();
  SSL_shutdown(session_->ssl());  // says goodbye; without an answer we need nothing more
  ERR_clear_error();
  shutdown(wire_.get(), SHUT_WR);
}

}  // namespace writ
