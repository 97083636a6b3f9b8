// SPDX-License-Identifier: Apache-2.0
#include "core/net/tcp_connector.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/net/listener.h"

namespace writ {
namespace {

// The longest wait without a look at the clock and the stop token.
constexpr int kSliceMillis = 50;

Status Stopped() { return Cancelled("stopped while connecting"); }

std::string AddressText(const addrinfo& address) {
  std::array<char, NI_MAXHOST> host;
  if (getnameinfo(address.ai_addr, address.ai_addrlen, host.data(), host.size(), nullptr, 0,
                  NI_NUMERICHOST) != 0) {
    return "?";
  }
  return host.data();
}

// 0, or the error that ended the attempt.
Result<int> AwaitConnected(int fd, MonoTime deadline, Clock* clock, const std::stop_token& stop) {
  while (true) {
    if (stop.stop_requested()) return Stopped();
    pollfd entry{.fd = fd, .events = POLLOUT, .revents = 0};
    if (poll(&entry, 1, kSliceMillis) > 0) {
      int error = 0;
      socklen_t size = sizeof error;
      CHECK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0);
      return error;
    }
    if (clock->Monotonic() >= deadline) return ETIMEDOUT;
  }
}

}  // namespace

// What getaddrinfo_a works on, by another thread: it must not move, nor go before it is finished.
struct TcpConnector::Lookup {
  explicit Lookup(HostPort parts) : parts(std::move(parts)) {
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV;
    request.ar_name = this->parts.host.c_str();
    request.ar_service = this->parts.port.c_str();
    request.ar_request = &hints;
  }
  ~Lookup() {
    if (request.ar_result != nullptr) freeaddrinfo(request.ar_result);
  }

  const HostPort parts;
  addrinfo hints{};
  gaicb request{};
};

TcpConnector::TcpConnector(std::string address, Clock* clock)
    : address_(std::move(address)), clock_(clock) {}

TcpConnector::~TcpConnector() {
  if (lookup_ == nullptr || gai_error(&lookup_->request) != EAI_INPROGRESS) return;
  // The C library still writes to it and offers no way to wait that is bounded: it is left to it.
  if (gai_cancel(&lookup_->request) == EAI_NOTCANCELED) (void)lookup_.release();
}

std::string TcpConnector::ServerName() const {
  Result<HostPort> parts = ParseHostPort(address_);
  if (!parts.ok()) return "";
  in6_addr ignored;
  bool is_ip = inet_pton(AF_INET, parts->host.c_str(), &ignored) == 1 ||
               inet_pton(AF_INET6, parts->host.c_str(), &ignored) == 1;
  return is_ip ? "" : parts->host;
}

Status TcpConnector::Resolve(MonoTime deadline, const std::stop_token& stop) {
  if (lookup_ == nullptr || gai_error(&lookup_->request) != EAI_INPROGRESS) {
    lookup_ = std::make_unique<Lookup>(TRY(ParseHostPort(address_)));
    gaicb* list[] = {&lookup_->request};
    int error = getaddrinfo_a(GAI_NOWAIT, list, 1, nullptr);
    if (error != 0) {
      lookup_.reset();
      return Unavailable("resolve " + address_ + ": " + gai_strerror(error));
    }
  }
  while (gai_error(&lookup_->request) == EAI_INPROGRESS) {
    if (stop.stop_requested()) return Stopped();
    if (clock_->Monotonic() >= deadline) {
      return Unavailable("resolve " + address_ + ": no answer in time");
    }
    const gaicb* list[] = {&lookup_->request};
    timespec slice{.tv_sec = 0, .tv_nsec = kSliceMillis * 1'000'000L};
    gai_suspend(list, 1, &slice);
  }
  int error = gai_error(&lookup_->request);
  if (error != 0) return Unavailable("resolve " + address_ + ": " + gai_strerror(error));
  return OkStatus();
}

Result<Fd> TcpConnector::Connect(MonoTime deadline, const std::stop_token& stop) {
  TRY(Resolve(deadline, stop));
  int addresses_left = 0;
  for (addrinfo* a = lookup_->request.ar_result; a != nullptr; a = a->ai_next) ++addresses_left;
  std::string failures;
  for (addrinfo* a = lookup_->request.ar_result; a != nullptr; a = a->ai_next) {
    // One address that does not answer must not use up the time of the others.
    MonoTime now = clock_->Monotonic();
    MonoTime share = now + (deadline - now) / addresses_left--;
    Fd fd(socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    int error = fd.valid() ? 0 : errno;
    if (error == 0 && connect(fd.get(), a->ai_addr, a->ai_addrlen) != 0) error = errno;
    if (error == EINPROGRESS) error = TRY(AwaitConnected(fd.get(), share, clock_, stop));
    if (error == 0) return fd;
    failures += (failures.empty() ? "" : ", ") + AddressText(*a) + ": " + std::strerror(error);
  }
  return Unavailable("connect to " + address_ + ": " + failures);
}

}  // namespace writ
