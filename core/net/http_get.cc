// SPDX-License-Identifier: Apache-2.0
#include <httplib.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/clock.h"
#include "core/base/thread.h"
#include "core/crypto/openssl.h"
#include "core/crypto/x509.h"
#include "core/net/http_server.h"

namespace writ {
namespace {

constexpr int kSecondsMax = 10;
constexpr size_t kUrlBytesMax = 2048;

struct Url {
  std::string origin;  // "https://host:port"
  std::string path;    // with the query; "/" at least
};

bool IsLoopback(std::string_view host_and_port) {
  for (std::string_view host : {"127.0.0.1", "localhost", "[::1]"}) {
    if (!host_and_port.starts_with(host)) continue;
    std::string_view rest = host_and_port.substr(host.size());
    if (rest.empty() || rest.front() == ':') return true;
  }
  return false;
}

Result<Url> ParseUrl(const std::string& url) {
  auto wrong = [&](const std::string& why) {
    return InvalidArgument("the URL \"" + Printable(url) + "\" " + why);
  };
  if (url.size() > kUrlBytesMax) return wrong("is too long");
  bool odd = std::ranges::any_of(url, [](unsigned char c) { return c <= ' ' || c >= 0x7f; });
  if (odd) return wrong("holds a character that must be escaped");
  size_t scheme_end = url.find("://");
  std::string scheme = scheme_end == std::string::npos ? "" : url.substr(0, scheme_end);
  if (scheme != "https" && scheme != "http") return wrong("must begin with https://");
  size_t host_begin = scheme_end + 3;
  size_t path_begin = std::min(url.find_first_of("/?#", host_begin), url.size());
  std::string host = url.substr(host_begin, path_begin - host_begin);
  if (host.empty()) return wrong("names no host");
  if (host.find('@') != std::string::npos) return wrong("must not hold a user name");
  if (scheme == "http" && !IsLoopback(host)) return wrong("must begin with https://");
  std::string path = url.substr(path_begin, url.find('#', path_begin) - path_begin);
  if (!path.starts_with('/')) path.insert(0, "/");
  return Url{scheme + "://" + host, std::move(path)};
}

Result<X509StorePtr> StoreOf(const std::string& ca_pem) {
  std::vector<Certificate> roots = TRY(Certificate::FromPem(ca_pem), "read the CA file");
  X509StorePtr store(X509_STORE_new());
  if (store == nullptr) return OpensslFailure("make a certificate store");
  for (const Certificate& root : roots) {
    if (X509_STORE_add_cert(store.get(), root.x509()) != 1) {
      return OpensslFailure("fill a certificate store");
    }
  }
  // Any of them ends a chain, self-signed or not.
  X509_STORE_set_flags(store.get(), X509_V_FLAG_PARTIAL_CHAIN);
  return store;
}

}  // namespace

Result<std::string> HttpGet(const std::string& url, const std::string& ca_pem, size_t bytes_max) {
  Url parts = TRY(ParseUrl(url));
  httplib::Client client(parts.origin);
  if (!client.is_valid()) {
    return InvalidArgument("the URL \"" + Printable(url) + "\" has no host and port");
  }
  if (!ca_pem.empty() && parts.origin.starts_with("https")) {
    client.set_ca_cert_store(TRY(StoreOf(ca_pem)).release());  // the client owns it now
  }
  client.set_connection_timeout(kSecondsMax);
  client.set_read_timeout(kSecondsMax);
  client.set_write_timeout(kSecondsMax);
  // The library's timeouts are for one read each; this one is for the whole.
  SystemClock clock;
  MonoTime deadline = clock.Monotonic() + std::chrono::seconds(kSecondsMax);
  Thread watchdog("http-get", [&](std::stop_token stop) {
    if (clock.WaitUntil(deadline, stop)) client.stop();
  });

  std::string body;
  bool too_large = false;
  httplib::Result result = client.Get(parts.path, [&](const char* data, size_t size) {
    too_large = size > bytes_max - body.size();
    if (!too_large) body.append(data, size);
    return !too_large;
  });
  watchdog.RequestStop();
  watchdog.Join();
  if (too_large) {
    return ResourceExhausted("GET " + url + ": the answer is larger than " +
                             std::to_string(bytes_max) + " bytes");
  }
  if (!result) {
    return Unavailable("GET " + url + ": " + httplib::to_string(result.error()));
  }
  if (result->status != 200) {
    return Unavailable("GET " + url + ": status " + std::to_string(result->status) +
                       " where 200 was expected");
  }
  return body;
}

}  // namespace writ
