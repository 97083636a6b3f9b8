// SPDX-License-Identifier: Apache-2.0
#include "core/net/proxied_wire.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

namespace writ {
namespace {

class WireAfterHeader final : public Wire {
 public:
  WireAfterHeader(std::unique_ptr<Wire> inner, int socket_fd, AcceptProxyHeader accept)
      : inner_(std::move(inner)), socket_fd_(socket_fd), accept_(std::move(accept)) {}

  Result<bool> Handshake() override {
    if (!header_done_) header_done_ = TRY(TakeHeader());
    if (!header_done_) return false;
    return inner_->Handshake();
  }
  const std::vector<Certificate>& peer_chain() const override { return inner_->peer_chain(); }
  int Read(std::span<char> buffer, Status& failure) override {
    return inner_->Read(buffer, failure);
  }
  int Write(std::string_view bytes, Status& failure) override {
    return inner_->Write(bytes, failure);
  }
  bool ShortReadDrains() const override { return inner_->ShortReadDrains(); }
  void EndWriting() override { inner_->EndWriting(); }

 private:
  // True when what follows is the inner wire's.
  Result<bool> TakeHeader() {
    std::array<char, ProxyHeader::kBytesMax> begin;
    ssize_t count = recv(socket_fd_, begin.data(), begin.size(), MSG_PEEK | MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (count < 0) return Unavailable(std::string("connection lost: ") + std::strerror(errno));
    if (count == 0) return Unavailable("the peer left before it spoke");
    Result<ProxyHeader> header =
        ParseProxyHeader({begin.data(), static_cast<size_t>(count)});
    if (!header.ok()) return PermissionDenied(header.status().message());
    if (header->state == ProxyHeader::State::kPartial) return false;
    TRY(accept_(*header));
    if (header->bytes > 0) {
      CHECK(recv(socket_fd_, begin.data(), header->bytes, MSG_DONTWAIT) ==
            static_cast<ssize_t>(header->bytes));
    }
    return true;
  }

  const std::unique_ptr<Wire> inner_;
  const int socket_fd_;
  const AcceptProxyHeader accept_;
  bool header_done_ = false;
};

}  // namespace

std::unique_ptr<Wire> ProxiedWire(std::unique_ptr<Wire> inner, int socket_fd,
                                  AcceptProxyHeader accept) {
  return std::make_unique<WireAfterHeader>(std::move(inner), socket_fd, std::move(accept));
}

}  // namespace writ
