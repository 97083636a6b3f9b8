// SPDX-License-Identifier: Apache-2.0
//
// HttpServer: /live, /ready and Prometheus /metrics over plain HTTP, for probes and scrapers.
// Low rates only: one request a connection. Clients that are slow, or many, hold no thread.
//
// Threads: thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/status.h"

namespace writ {

struct HttpServerOptions {
  std::string address;  // "127.0.0.1:8082"; port 0 picks one
  std::function<Status()> live;
  std::function<Status()> ready;         // a failure's message is the 503's body
  std::function<std::string()> metrics;  // text exposition format 0.0.4
  Clock* clock;                          // borrowed, as is the log
  Log* log;
};

class HttpServer {
 public:
  virtual ~HttpServer() = default;
  static Result<std::unique_ptr<HttpServer>> Start(HttpServerOptions options);
  virtual int Port() const = 0;
};

// GET over https, or over http from this machine itself, for the bundle URL: at most `bytes_max`,
// 10 s, no redirects. `ca_pem`: the roots to trust, empty for the system's.
Result<std::string> HttpGet(const std::string& url, const std::string& ca_pem, size_t bytes_max);

}  // namespace writ
