// SPDX-License-Identifier: Apache-2.0
#include "core/net/http_server.h"

#include <gtest/gtest.h>
#include <httplib.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/file.h"
#include "core/base/thread.h"
#include "core/base/clock.h"
#include "core/crypto/openssl.h"
#include "core/net/head_gate.h"
#include "core/net/listener.h"
#include "core/net/test_tls.h"
#include "test/fake/fake_log.h"

namespace writ {
namespace {

constexpr size_t kBytesMax = 1 << 20;

class HttpServerTest : public ::testing::Test {
 protected:
  HttpServerTest()
      : server_(HttpServer::Start({.address = "127.0.0.1:0",
                                   .live = [] { return OkStatus(); },
                                   .ready = [this] { return Ready(); },
                                   .metrics = [] { return std::string("writ_up 1\n"); },
                                   .clock = &clock_,
                                   .log = &log_})) {}
  Status Ready() const { return ready_ ? OkStatus() : Unavailable("the CA is not loaded"); }
  std::string Url(const std::string& path) const {
    return "http://127.0.0.1:" + std::to_string((*server_)->Port()) + path;
  }

  // A connection with `head` sent on it.
  Fd Dribble(std::string_view head) const {
    Fd client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>((*server_)->Port()));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    CHECK(send(client.get(), head.data(), head.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(head.size()));
    return client;
  }

  FakeLog log_;
  SystemClock clock_;
  std::atomic<bool> ready_ = true;
  Result<std::unique_ptr<HttpServer>> server_;
};

// A server that says `answer` to one client, whatever it asks.
class OneAnswer {
 public:
  explicit OneAnswer(std::string answer) : listener_(*ListenTcp("127.0.0.1:0")) {
    thread_ = Thread("answer", [this, answer = std::move(answer)](std::stop_token) {
      pollfd entry{.fd = listener_.get(), .events = POLLIN, .revents = 0};
      poll(&entry, 1, -1);
      Fd client(accept(listener_.get(), nullptr, nullptr));
      char request[1024];
      (void)recv(client.get(), request, sizeof request, 0);
      std::string_view left = answer;
      while (!left.empty()) {
        ssize_t sent = send(client.get(), left.data(), left.size(), MSG_NOSIGNAL);
        if (sent < 0) break;
        left.remove_prefix(static_cast<size_t>(sent));
      }
    });
  }
  std::string Url() const { return "http://127.0.0.1:" + std::to_string(PortOf(listener_.get())); }

 private:
  Fd listener_;
  Thread thread_;
};

TEST_F(HttpServerTest, ProbesAnswerWithTheStateAndItsReason) {
  ASSERT_TRUE(server_.ok()) << server_.status().ToString();
  EXPECT_EQ(*HttpGet(Url("/live"), "", kBytesMax), "ok\n");
  EXPECT_EQ(*HttpGet(Url("/ready"), "", kBytesMax), "ok\n");
  ready_ = false;
  Result<std::string> unready = HttpGet(Url("/ready"), "", kBytesMax);
  EXPECT_EQ(unready.code(), Code::kUnavailable);
  EXPECT_NE(unready.status().message().find("503"), std::string::npos);
}

TEST_F(HttpServerTest, MetricsAreServed) {
  EXPECT_EQ(*HttpGet(Url("/metrics"), "", kBytesMax), "writ_up 1\n");
}

TEST_F(HttpServerTest, ClientsThatDribbleKeepNobodyOut) {
  std::vector<Fd> slow;
  for (size_t i = 0; i < kHeldHeadsMax + 50; ++i) slow.push_back(Dribble("GET /live HTTP/1.1\r\n"));
  EXPECT_EQ(*HttpGet(Url("/live"), "", kBytesMax), "ok\n");
  // The last of them may go on: only the oldest made room.
  constexpr std::string_view kRest = "Host: h\r\n\r\n";
  ASSERT_EQ(send(slow.back().get(), kRest.data(), kRest.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(kRest.size()));
  char answer[64] = {};
  ASSERT_GT(recv(slow.back().get(), answer, sizeof answer - 1, MSG_WAITALL), 0);
  EXPECT_TRUE(std::string_view(answer).starts_with("HTTP/1.1 200")) << answer;
}

TEST_F(HttpServerTest, AHeadThatIsTooLongIsRefused) {
  Fd client = Dribble("GET /" + std::string(2 * kHeadBytesMax, 'x') + " HTTP/1.1\r\n\r\n");
  char answer[64] = {};
  (void)recv(client.get(), answer, sizeof answer - 1, MSG_WAITALL);
  EXPECT_TRUE(std::string_view(answer).starts_with("HTTP/1.1 4")) << answer;
}

TEST_F(HttpServerTest, OtherPathsAreNotFound) {
  EXPECT_NE(HttpGet(Url("/"), "", kBytesMax).status().message().find("404"), std::string::npos);
}

TEST_F(HttpServerTest, ASecondServerOnThePortIsRefused) {
  const std::string address = "127.0.0.1:" + std::to_string((*server_)->Port());
  auto second = HttpServer::Start({.address = address, .clock = &clock_, .log = &log_});
  EXPECT_EQ(second.code(), Code::kFailedPrecondition);
}

TEST_F(HttpServerTest, AMalformedAddressIsRefused) {
  EXPECT_EQ(HttpServer::Start({.address = "nowhere", .clock = &clock_, .log = &log_}).code(),
            Code::kInvalidArgument);
}

TEST(HttpGetTest, RefusesWhatIsNoSafeUrl) {
  for (const char* url : {"", "example.org", "ftp://example.org/", "http://example.org/bundle",
                          "http://localhost.example.org/", "https://", "https://user@example.org/",
                          "https://example.org/a b", "https://example.org/\r\nX: y"}) {
    EXPECT_EQ(HttpGet(url, "", kBytesMax).code(), Code::kInvalidArgument) << url;
  }
}

TEST(HttpGetTest, RefusesAnAnswerAboveTheLimit) {
  OneAnswer server("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + std::string(100000, 'x'));
  EXPECT_EQ(HttpGet(server.Url(), "", 1000).code(), Code::kResourceExhausted);
}

TEST(HttpGetTest, FollowsNoRedirect) {
  OneAnswer server(
      "HTTP/1.1 302 Found\r\nLocation: https://example.org/\r\n"
      "Content-Length: 0\r\n\r\n");
  Result<std::string> answer = HttpGet(server.Url(), "", kBytesMax);
  EXPECT_EQ(answer.code(), Code::kUnavailable);
  EXPECT_NE(answer.status().message().find("302"), std::string::npos);
}

TEST(HttpGetTest, AServerThatIsAwayIsUnavailable) {
  Fd listener = *ListenTcp("127.0.0.1:0");
  std::string url = "http://127.0.0.1:" + std::to_string(PortOf(listener.get()));
  listener.Reset();
  EXPECT_EQ(HttpGet(url, "", kBytesMax).code(), Code::kUnavailable);
}

// An https server for "localhost" with a certificate of `ca`.
class HttpsServer {
 public:
  explicit HttpsServer(TestCa& ca) {
    KeySigner signer(KeyType::kEcP256);
    Certificate certificate = ca.IssueForHost("localhost", signer);
    std::string pkcs8(signer.key().ExportPkcs8()->Reveal());
    const unsigned char* der = AsUnsigned(pkcs8);
    EvpPkeyPtr key(d2i_AutoPrivateKey(nullptr, &der, static_cast<long>(pkcs8.size())));
    server_ = std::make_unique<httplib::SSLServer>(certificate.x509(), key.get());
    server_->Get("/bundle", [](const httplib::Request&, httplib::Response& response) {
      response.set_content("bundle", "text/plain");
    });
    port_ = server_->bind_to_any_port("127.0.0.1");
    thread_ = Thread("https", [this](std::stop_token) { server_->listen_after_bind(); });
    while (!server_->is_running()) poll(nullptr, 0, 1);
  }
  ~HttpsServer() { server_->stop(); }
  std::string Url(const std::string& host) const {
    return "https://" + host + ":" + std::to_string(port_) + "/bundle";
  }

 private:
  std::unique_ptr<httplib::SSLServer> server_;
  int port_ = 0;
  Thread thread_;
};

TEST(HttpGetTest, HttpsTrustsTheGivenRootsAndNoOthers) {
  TestCa ca;
  TestCa other_ca;
  HttpsServer server(ca);
  Result<std::string> body = HttpGet(server.Url("localhost"), ca.Pem(), kBytesMax);
  ASSERT_TRUE(body.ok()) << body.status().ToString();
  EXPECT_EQ(*body, "bundle");
  EXPECT_EQ(HttpGet(server.Url("localhost"), other_ca.Pem(), kBytesMax).code(), Code::kUnavailable);
  EXPECT_EQ(HttpGet(server.Url("localhost"), "", kBytesMax).code(), Code::kUnavailable);
  EXPECT_EQ(HttpGet(server.Url("127.0.0.1"), ca.Pem(), kBytesMax).code(), Code::kUnavailable)
      << "the certificate is for another name";
}

TEST(HttpGetTest, ACaFileWithoutCertificatesIsRefused) {
  EXPECT_EQ(HttpGet("https://127.0.0.1:1/", "not PEM", kBytesMax).code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace writ
