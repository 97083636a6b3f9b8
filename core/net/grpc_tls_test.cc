// SPDX-License-Identifier: Apache-2.0
//
// gRPC over our TLS, from a TlsChannel to a GrpcServer.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "core/base/thread.h"
#include "core/net/grpc_channel.h"
#include "core/net/grpc_server.h"
#include "core/net/listener.h"
#include "core/net/test_endpoint.h"
#include "core/net/test_http2.h"
#include "core/net/test_tls.h"
#include "core/net/tls_session.h"
#include "test/fake/fake_clock.h"
#include "test/fake/fake_log.h"

namespace writ {
namespace {

constexpr char kServerId[] = "spiffe://example.org/server";
constexpr char kClientId[] = "spiffe://example.org/client";

Fd ConnectTcp(int port) {
  Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  return fd;
}

class GrpcTlsTest : public ::testing::Test {
 protected:
  void Start(const std::string& address = "127.0.0.1:0") {
    tls_ = *TlsServerConfig::Make(ca_.Issue(kServerId), client_verifier_);
    auto server = GrpcServer::Start({.name = "tcp",
                                     .services = {&echo_},
                                     .tcp_listeners = {{.address = address, .tls = tls_}},
                                     .connection_age_max = connection_age_max_,
                                     .clock = &clock_,
                                     .log = &log_});
    ASSERT_TRUE(server.ok()) << server.status().ToString();
    server_ = std::move(*server);
    echo_.SetServer(server_.get());
    port_ = server_->TcpPort(0);
  }
  TlsClientOptions ClientOptions() {
    return {.address = "127.0.0.1:" + std::to_string(port_),
            .identity = [this] { return identity_; },
            .verify = ca_.Verifier()};
  }
  std::unique_ptr<TlsChannel> NewChannel() {
    return TlsChannel::Make(ClientOptions(), &clock_, &log_);
  }
  static grpc::Status EchoOver(TlsChannel& channel, size_t size = 5) {
    auto connected = channel.Get();
    return connected.ok() ? Echo(*connected, size) : ToGrpc(connected.status());
  }

  TestCa ca_;
  TestCa other_ca_;
  VerifyPeer client_verifier_ = ca_.Verifier();
  Duration connection_age_max_ = std::chrono::minutes(30);
  std::optional<TlsIdentity> identity_ = ca_.Issue(kClientId);
  FakeClock clock_;
  SeededRandom random_{1};
  FakeLog log_;
  EchoService echo_;
  std::shared_ptr<TlsServerConfig> tls_;
  std::unique_ptr<GrpcServer> server_;
  int port_ = 0;
};

TEST_F(GrpcTlsTest, HandlerSeesTheChainAndTheAddressOfTheCaller) {
  std::atomic<int> good = 0;
  echo_.SetOnCall([&](const Peer* peer, const grpc::CallbackServerContext&) {
    good += peer != nullptr && peer->kind == Peer::Kind::kTls && peer->address == "127.0.0.1" &&
            peer->chain.size() == 1 &&
            peer->chain[0].uri_sans() == std::vector<std::string>{kClientId};
    return grpc::Status::OK;
  });
  Start();
  auto channel = NewChannel();
  grpc::Status status = EchoOver(*channel);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_TRUE(EchoOver(*channel).ok());
  EXPECT_EQ(good, 2);
  EXPECT_EQ(server_->ConnectionCount(), 1u);
}

TEST_F(GrpcTlsTest, ACallerWithoutCertificateHasAnEmptyChain) {
  std::atomic<bool> empty = false;
  echo_.SetOnCall([&](const Peer* peer, const grpc::CallbackServerContext&) {
    empty = peer != nullptr && peer->chain.empty();
    return grpc::Status::OK;
  });
  identity_.reset();
  Start();
  EXPECT_TRUE(EchoOver(*NewChannel()).ok());
  EXPECT_TRUE(empty);
}

TEST_F(GrpcTlsTest, ACallerWhoseCertificateDoesNotVerifyIsRefusedAndLogged) {
  identity_ = other_ca_.Issue(kClientId);
  Start();
  EXPECT_EQ(EchoOver(*NewChannel()).error_code(), grpc::StatusCode::UNAVAILABLE);
  AwaitLine(log_, "TLS peer refused");
  AwaitNoConnection(*server_);
}

TEST_F(GrpcTlsTest, AServerThatDoesNotVerifyIsUnauthenticated) {
  Start();
  TlsClientOptions options = ClientOptions();
  options.verify = [](const auto&) { return PermissionDenied("not our server"); };
  auto connected = TlsChannel::Make(options, &clock_, &log_)->Get();
  EXPECT_EQ(connected.code(), Code::kUnauthenticated);
  EXPECT_NE(connected.status().message().find("not our server"), std::string::npos);
}

TEST_F(GrpcTlsTest, NewHandshakesSeeTheNewIdentityAndOldConnectionsGoOn) {
  Start();
  std::string seen;
  TlsClientOptions options = ClientOptions();
  options.verify = [&](const std::vector<Certificate>& chain) {
    seen = chain[0].uri_sans()[0];
    return OkStatus();
  };
  auto old_channel = TlsChannel::Make(options, &clock_, &log_);
  ASSERT_TRUE(EchoOver(*old_channel).ok());
  EXPECT_EQ(seen, kServerId);
  for (KeyType type : {KeyType::kRsa2048, KeyType::kEcP384}) {
    std::string id = std::string(kServerId) + "/" + std::string(KeyTypeName(type));
    ASSERT_TRUE(tls_->SetIdentity(ca_.Issue(id, type)).ok());
    ASSERT_TRUE(EchoOver(*TlsChannel::Make(options, &clock_, &log_)).ok());
    EXPECT_EQ(seen, id);
  }
  EXPECT_TRUE(EchoOver(*old_channel).ok());
  EXPECT_EQ(tls_->SetIdentity({}).code(), Code::kInvalidArgument);
}

TEST_F(GrpcTlsTest, BigMessagesPassBothWaysAtOnce) {
  Start();
  auto channel = NewChannel();
  std::atomic<int> good = 0;
  {
    std::vector<Thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back("client", [&](std::stop_token) {
        for (int n = 0; n < 4; ++n) good += EchoOver(*channel, 3 << 20).ok();
      });
    }
  }
  EXPECT_EQ(good, 16);
}

TEST_F(GrpcTlsTest, ConnectionsOfManyThreadsComeAndGo) {
  Start();
  std::atomic<int> good = 0;
  {
    std::vector<Thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back("client", [&](std::stop_token) {
        for (int n = 0; n < 50; ++n) good += EchoOver(*NewChannel()).ok();
      });
    }
  }
  EXPECT_EQ(good, 200);
  AwaitNoConnection(*server_);
}

TEST_F(GrpcTlsTest, ClientsThatVanishOrTalkNonsenseLeaveNothingBehind) {
  Start();
  const std::string hello("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11);
  for (int i = 0; i < 200; ++i) {
    Fd client = ConnectTcp(port_);
    std::string bytes = i % 2 == 0 ? hello.substr(0, static_cast<size_t>(i) % 12)
                                   : random_.Bytes(static_cast<size_t>(i) * 10);
    if (!bytes.empty()) (void)send(client.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  AwaitNoConnection(*server_);
  EXPECT_TRUE(EchoOver(*NewChannel()).ok());
}

TEST_F(GrpcTlsTest, SilentClientIsDroppedAtTheDeadline) {
  Start();
  Fd silent = ConnectTcp(port_);
  EXPECT_TRUE(EchoOver(*NewChannel()).ok());  // it has been accepted by now
  clock_.Advance(std::chrono::seconds(11));
  AwaitClosed(silent.get());
}

TEST_F(GrpcTlsTest, CloseConnectionsEndsThoseThatAreNotKept) {
  Start();
  auto kept = NewChannel();
  ASSERT_TRUE(EchoOver(*kept).ok());
  identity_ = ca_.Issue("spiffe://example.org/gone");
  auto gone = NewChannel();
  auto gone_grpc = gone->Get();
  ASSERT_TRUE(gone_grpc.ok());
  ASSERT_TRUE(Echo(*gone_grpc).ok());
  Thread hanging("call", [&](std::stop_token) {
    EXPECT_EQ(Hang(*gone_grpc, kCallSecondsMax * 1000).error_code(), grpc::StatusCode::UNAVAILABLE);
  });
  server_->CloseConnections(
      [](const Peer& peer) { return peer.chain.at(0).uri_sans().at(0) == kClientId; });
  hanging.Join();
  EXPECT_EQ(Echo(*gone_grpc).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_TRUE(EchoOver(*kept).ok());
  // The loss reaches the client's end a moment after the server's; then it connects anew.
  while (!EchoOver(*gone).ok()) poll(nullptr, 0, 1);
}

TEST_F(GrpcTlsTest, DeadlineOfACallIsKept) {
  Start();
  auto channel = NewChannel();
  EXPECT_EQ(Hang(*channel->Get(), 50).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(EchoOver(*channel).ok());
}

TEST_F(GrpcTlsTest, AServerThatDiesIsUnavailableUntilItIsBack) {
  Start();
  auto channel = NewChannel();
  auto connected = channel->Get();
  ASSERT_TRUE(Echo(*connected).ok());
  server_.reset();
  EXPECT_EQ(Echo(*connected).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(EchoOver(*channel).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(channel->Get().code(), Code::kUnavailable);
  Start("127.0.0.1:" + std::to_string(port_));
  grpc::Status again = EchoOver(*channel);
  EXPECT_TRUE(again.ok()) << again.error_message();
}

TEST_F(GrpcTlsTest, AServerWhoseHeadersHaveNoEndLosesItsClient) {
  const Fd listener = *ListenTcp("127.0.0.1:0");
  port_ = PortOf(listener.get());
  Thread hostile("hostile", [&](std::stop_token) {
    pollfd waiting{.fd = listener.get(), .events = POLLIN, .revents = 0};
    ASSERT_EQ(poll(&waiting, 1, -1), 1);
    const Fd socket(accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    const TlsIdentity identity = ca_.Issue(kServerId);
    const SslContextPtr context = *MakeSslContext(TlsSide::kServer, &identity);
    auto session = *TlsSession::Make(TlsSide::kServer, context.get(), socket.get(), AcceptAnyPeer);
    while (!*session->Handshake()) poll(nullptr, 0, 1);
    const std::string bytes = Http2FrameBytes(4, 0, 0, "") + EndlessHeaders(1);
    Status lost;
    for (std::string_view left = bytes; !left.empty() && lost.ok();) {
      const int sent = session->Write(left, lost);
      if (sent > 0) left.remove_prefix(static_cast<size_t>(sent));
      if (sent == 0) poll(nullptr, 0, 1);
    }
    std::array<char, 4096> said;
    while (session->Read(said, lost) >= 0) poll(nullptr, 0, 1);
  });
  EXPECT_EQ(EchoOver(*NewChannel()).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(log_.Count("headers of a call are too long"), 1);
}

TEST_F(GrpcTlsTest, ALossThatIsToldLateCostsNoFreshConnection) {
  Start();
  auto channel = NewChannel();
  const std::shared_ptr<grpc::Channel> lost = *channel->Get();
  channel->DropLost(lost);
  const std::shared_ptr<grpc::Channel> fresh = *channel->Get();
  EXPECT_NE(fresh, lost);
  channel->DropLost(lost);
  EXPECT_EQ(*channel->Get(), fresh);
  channel->DropLost(fresh);
  EXPECT_NE(*channel->Get(), fresh);
}

TEST_F(GrpcTlsTest, DropConnectsAnewWithTheIdentityOfThen) {
  std::string caller;
  echo_.SetOnCall([&](const Peer* peer, const grpc::CallbackServerContext&) {
    caller = peer->chain.at(0).uri_sans().at(0);
    return grpc::Status::OK;
  });
  Start();
  auto channel = NewChannel();
  auto before = *channel->Get();
  identity_ = ca_.Issue("spiffe://example.org/renewed");
  ASSERT_TRUE(EchoOver(*channel).ok());
  EXPECT_EQ(caller, kClientId);
  channel->Drop();
  ASSERT_TRUE(EchoOver(*channel).ok());
  EXPECT_EQ(caller, "spiffe://example.org/renewed");
  EXPECT_TRUE(Echo(before).ok()) << "running calls go on";
}

TEST_F(GrpcTlsTest, ThreadsShareOneConnection) {
  Start();
  auto channel = NewChannel();
  std::atomic<int> good = 0;
  {
    std::vector<Thread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back("client", [&](std::stop_token) { good += EchoOver(*channel).ok(); });
    }
  }
  EXPECT_EQ(good, 8);
  EXPECT_EQ(server_->ConnectionCount(), 1u);
}

TEST_F(GrpcTlsTest, AConnectionThatTakesNoMoreCallsIsNotHandedOut) {
  Start();
  auto channel = NewChannel();
  auto connected = channel->Get();
  ASSERT_TRUE(Echo(*connected).ok());
  Thread hanging("call", [&](std::stop_token) { Hang(*connected, kCallSecondsMax * 1000); });
  Thread shutdown("stop", [&](std::stop_token) {
    server_->Shutdown(clock_.Monotonic() + std::chrono::seconds(2));
  });
  // The old connection lives on for its stream; the goodbye alone makes Get() look elsewhere.
  while (channel->Get().ok()) poll(nullptr, 0, 1);
  EXPECT_EQ(channel->Get().code(), Code::kUnavailable);
}

TEST_F(GrpcTlsTest, AConnectionThatIsTooOldIsReplacedWithoutAFailedCall) {
  connection_age_max_ = std::chrono::milliseconds(20);
  Start();
  auto channel = NewChannel();
  auto first = *channel->Get();
  std::shared_ptr<grpc::Channel> next;
  do {
    poll(nullptr, 0, 1);
    next = *channel->Get();
  } while (next == first);
  EXPECT_TRUE(Echo(next).ok());
}

TEST_F(GrpcTlsTest, NamesAndBothFamiliesAreTried) {
  Start("[::]:0");
  TlsClientOptions options = ClientOptions();
  for (const char* host : {"localhost", "127.0.0.1", "[::1]"}) {
    options.address = std::string(host) + ":" + std::to_string(port_);
    grpc::Status status = EchoOver(*TlsChannel::Make(options, &clock_, &log_));
    EXPECT_TRUE(status.ok()) << host << ": " << status.error_message();
  }
}

// A listener whose connections nobody answers.
class SilentServer {
 public:
  std::string Address() const { return "127.0.0.1:" + std::to_string(PortOf(listener_.get())); }

 private:
  Fd listener_ = *ListenTcp("127.0.0.1:0");
};

TEST_F(GrpcTlsTest, ConnectingEndsAtItsDeadline) {
  SilentServer silent;
  TlsClientOptions options{.address = silent.Address(), .verify = AcceptAnyPeer};
  auto channel = TlsChannel::Make(options, &clock_, &log_);
  std::atomic<bool> done = false;
  Thread mover("clock", [&](std::stop_token) {
    while (!done) {
      clock_.Advance(std::chrono::seconds(1));
      poll(nullptr, 0, 1);
    }
  });
  EXPECT_EQ(channel->Get().code(), Code::kUnavailable);
  done = true;
}

TEST_F(GrpcTlsTest, ConnectingEndsWhenStopped) {
  SilentServer silent;
  std::stop_source stop;
  TlsClientOptions options{
      .address = silent.Address(), .verify = AcceptAnyPeer, .stop = stop.get_token()};
  auto channel = TlsChannel::Make(options, &clock_, &log_);
  Thread stopper("stop", [&](std::stop_token) { stop.request_stop(); });
  EXPECT_EQ(channel->Get().code(), Code::kCancelled);
}

TEST_F(GrpcTlsTest, NamesThatDoNotResolveAndAddressesThatAreNoneAreExplained) {
  auto away = TlsChannel::Make({.address = "no-such-host.invalid:8081", .verify = AcceptAnyPeer},
                               &clock_, &log_);
  EXPECT_EQ(away->Get().code(), Code::kUnavailable);
  auto none = TlsChannel::Make({.address = "here", .verify = AcceptAnyPeer}, &clock_, &log_);
  EXPECT_EQ(none->Get().code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace writ
