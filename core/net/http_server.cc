// SPDX-License-Identifier: Apache-2.0
#include "core/net/http_server.h"

#include <httplib.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <utility>

#include "core/base/thread.h"
#include "core/net/listener.h"

namespace writ {
namespace {

constexpr size_t kThreads = 2;
constexpr size_t kWaitingConnectionsMax = 32;
constexpr size_t kRequestBytesMax = 4096;
constexpr size_t kRequestsPerConnectionMax = 100;
constexpr int kIdleSeconds = 5;
constexpr int kPollMillis = 1;
constexpr const char* kPlainText = "text/plain; charset=utf-8";
constexpr const char* kExpositionFormat = "text/plain; version=0.0.4; charset=utf-8";

// The library's requests on our threads. When too many wait, the accepting thread serves: that
// keeps further connections in the kernel's queue.
class PoolQueue final : public httplib::TaskQueue {
 public:
  void enqueue(std::function<void()> task) override {
    if (!pool_->Submit(task)) task();
  }
  void shutdown() override { pool_.reset(); }

 private:
  std::unique_ptr<WorkerPool> pool_ =
      std::make_unique<WorkerPool>("http", kThreads, kWaitingConnectionsMax);
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
  }

  Status Open();
  int Port() const override { return port_; }

 private:
  void Route();

  const HttpServerOptions options_;
  httplib::Server server_;
  int port_ = 0;  // constant after Open()
  std::atomic<bool> ended_ = false;
  Thread thread_;
};

Status LibraryHttpServer::Open() {
  HostPort address = TRY(ParseHostPort(options_.address));
  server_.new_task_queue = [] { return std::make_unique<PoolQueue>().release(); };
  server_.set_socket_options(SetSocketOptions);
  server_.set_tcp_nodelay(true);
  server_.set_read_timeout(kIdleSeconds);
  server_.set_write_timeout(kIdleSeconds);
  server_.set_keep_alive_timeout(kIdleSeconds);
  server_.set_keep_alive_max_count(kRequestsPerConnectionMax);
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
