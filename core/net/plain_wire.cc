// SPDX-License-Identifier: Apache-2.0
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "core/net/wire.h"

namespace writ {
namespace {

bool WouldBlock() { return errno == EAGAIN || errno == EINTR; }

Status Lost() { return Unavailable(std::string("connection lost: ") + std::strerror(errno)); }

class SocketWire final : public Wire {
 public:
  explicit SocketWire(int socket_fd) : socket_fd_(socket_fd) {}

  Result<bool> Handshake() override { return true; }
  const std::vector<Certificate>& peer_chain() const override { return no_chain_; }

  int Read(std::span<char> buffer, Status& failure) override {
    ssize_t count = recv(socket_fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count > 0) return static_cast<int>(count);
    if (count < 0 && WouldBlock()) return 0;
    // A process that died with our answers unread resets its connection: everyday.
    if (count < 0 && errno != ECONNRESET) failure = Lost();
    return -1;
  }

  int Write(std::string_view bytes, Status& failure) override {
    ssize_t count = send(socket_fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0) return static_cast<int>(count);
    if (WouldBlock()) return 0;
    failure = Lost();
    return -1;
  }

  bool ShortReadDrains() const override { return true; }
  void EndWriting() override {}

 private:
  const int socket_fd_;
  const std::vector<Certificate> no_chain_;
};

}  // namespace

std::unique_ptr<Wire> PlainWire(int socket_fd) { return std::make_unique<SocketWire>(socket_fd); }

}  // namespace writ
