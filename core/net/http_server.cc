// SPDX-License-Identifier: Apache-2.0
#include "core/net/http_server.h"

#include <httplib.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <utility>

#include "core/base/thread.h"
#include "core/net/head_gate.h"
#include "core/net/listener.h"

namespace writ {
namespace {

constexpr size_t kThreads = 2;
constexpr size_t kWaitingRequestsMax = 32;
constexpr size_t kRequestBytesMax = 4096;
constexpr Duration kServeDeadline = std::chrono::seconds(5);
constexpr int kBacklog = 256;
constexpr int kPollMillis = 1;
constexpr const char* kPlainText = "text/plain; charset=utf-8";
constexpr const char* kExpositionFormat = "text/plain; version=0.0.4; charset=utf-8";

// A socket with one deadline for all that is read from it and written to it.
class DeadlineStream final : public httplib::Stream {
 public:
  DeadlineStream(int fd, Clock* clock)
      : fd_(fd), clock_(clock), deadline_(clock->Monotonic() + kServeDeadline) {}

  bool is_readable() const override { return Await(POLLIN); }
  bool is_writable() const override { return Await(POLLOUT); }
  ssize_t read(char* to, size_t size) override {
    return Await(POLLIN) ? recv(fd_, to, size, MSG_DONTWAIT) : -1;
  }
  ssize_t write(const char* from, size_t size) override {
    return Await(POLLOUT) ? send(fd_, from, size, MSG_DONTWAIT | MSG_NOSIGNAL) : -1;
  }
  // Nothing here asks who it is.
  void get_remote_ip_and_port(std::string&, int&) const override {}
  void get_local_ip_and_port(std::string&, int&) const override {}
  socket_t socket() const override { return fd_; }

 private:
  bool Await(short events) const {
    using std::chrono::milliseconds;
    const auto left = std::chrono::ceil<milliseconds>(deadline_ - clock_->Monotonic());
    pollfd entry{.fd = fd_, .events = events, .revents = 0};
    return left > milliseconds::zero() && poll(&entry, 1, static_cast<int>(left.count())) == 1;
  }

  const int fd_;        // borrowed
  Clock* const clock_;  // likewise
  const MonoTime deadline_;
};

// What the library accepts goes to the gate at once, on the accepting thread.
class AtOnce final : public httplib::TaskQueue {
 public:
  void enqueue(std::function<void()> task) override { task(); }
  void shutdown() override {}
};

// The library's routes and parser behind our own way from a connection to a thread.
class GatedServer final : public httplib::Server {
 public:
  void SetGate(std::function<void(Fd)> gate) { gate_ = std::move(gate); }

  // Bound, the library lets five connections wait for accept(): a sixth comes a second later.
  Status DeepenBacklog() {
    if (::listen(svr_sock_, kBacklog) == 0) return OkStatus();
    return Internal("lengthen the queue of HTTP connections");
  }

  // One request, and the end of its connection.
  void Serve(const Fd& socket, Clock* clock) {
    DeadlineStream stream(socket.get(), clock);
    bool closed = false;
    (void)process_request(stream, /*close_connection=*/true, closed, nullptr);
    shutdown(socket.get(), SHUT_RDWR);
  }

 private:
  bool process_and_close_socket(socket_t socket) override {
    gate_(Fd(socket));
    return true;
  }

  std::function<void(Fd)> gate_;  // constant once the server listens
};

// Without SO_REUSEPORT, the library's default: a second server on the port must fail, not share.
void SetSocketOptions(int fd) {
  int on = 1;
  (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
}

void Answer(const Status& status, httplib::Response& response) {
  response.status = status.ok() ? 200 : 503;
  response.set_content(status.ok() ? "ok\n" : status.message() + "\n", kPlainText);
}

class LibraryHttpServer final : public HttpServer {
 public:
  explicit LibraryHttpServer(HttpServerOptions options) : options_(std::move(options)) {}
  ~LibraryHttpServer() override {
    if (!thread_.Joinable()) return;
    // stop() does nothing to a server that does not run yet, and there is no event to wait for.
    while (!server_.is_running() && !ended_) poll(nullptr, 0, kPollMillis);
    server_.stop();
    thread_.Join();
    gate_.reset();
    workers_.reset();
  }

  Status Open();
  int Port() const override { return port_; }

 private:
  void Route();

  const HttpServerOptions options_;
  GatedServer server_;
  int port_ = 0;  // constant after Open(), as are the next two
  std::unique_ptr<WorkerPool> workers_;
  std::unique_ptr<HeadGate> gate_;
  std::atomic<bool> ended_ = false;
  Thread thread_;
};

Status LibraryHttpServer::Open() {
  HostPort address = TRY(ParseHostPort(options_.address));
  workers_ = std::make_unique<WorkerPool>("http", kThreads, kWaitingRequestsMax);
  gate_ = TRY(HeadGate::Start(options_.clock, [this](Fd socket) {
    auto shared = std::make_shared<Fd>(std::move(socket));
    (void)workers_->Submit([this, shared] { server_.Serve(*shared, options_.clock); });
  }));
  server_.SetGate([this](Fd socket) { gate_->Hold(std::move(socket)); });
  server_.new_task_queue = [] { return std::make_unique<AtOnce>().release(); };
  server_.set_socket_options(SetSocketOptions);
  server_.set_payload_max_length(kRequestBytesMax);
  Route();
  std::string host = address.host.empty() ? "::" : address.host;
  int port = std::stoi(address.port);  // ParseHostPort let only numbers through
  if (port == 0) {
    port_ = server_.bind_to_any_port(host);
  } else {
    port_ = server_.bind_to_port(host, port) ? port : -1;
  }
  if (port_ < 0) {
    return FailedPrecondition("listen on " + options_.address +
                              " for HTTP: the address is taken or not this machine's; stop what "
                              "listens there or choose another");
  }
  TRY(server_.DeepenBacklog());
  thread_ = Thread("http-accept", [this](std::stop_token) {
    if (!server_.listen_after_bind()) options_.log->Error("The HTTP server ended by itself");
    ended_ = true;
  });
  return OkStatus();
}

void LibraryHttpServer::Route() {
  server_.Get("/live", [this](const httplib::Request&, httplib::Response& response) {
    Answer(options_.live(), response);
  });
  server_.Get("/ready", [this](const httplib::Request&, httplib::Response& response) {
    Answer(options_.ready(), response);
  });
  server_.Get("/metrics", [this](const httplib::Request&, httplib::Response& response) {
    response.set_content(options_.metrics(), kExpositionFormat);
  });
}

}  // namespace

Result<std::unique_ptr<HttpServer>> HttpServer::Start(HttpServerOptions options) {
  auto server = std::make_unique<LibraryHttpServer>(std::move(options));
  TRY(server->Open());
  return std::unique_ptr<HttpServer>(std::move(server));
}

}  // namespace writ
