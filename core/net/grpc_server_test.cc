// SPDX-License-Identifier: Apache-2.0
#include "core/net/grpc_server.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <atomic>
#include <string>
#include <vector>

#include "core/base/thread.h"
#include "core/net/grpc_channel.h"
#include "core/net/http2_frames.h"
#include "core/net/test_endpoint.h"
#include "core/net/test_http2.h"
#include "test/fake/fake_clock.h"
#include "test/support/paths.h"

namespace writ {
namespace {

class GrpcServerTest : public ::testing::Test {
 protected:
  void Start(std::function<void(GrpcServerOptions&)> change = {}) {
    GrpcServerOptions options;
    options.name = "test";
    options.services = {&echo_};
    options.unix_listeners = {{.path = path_, .mode = 0666}};
    options.clock = &clock_;
    options.log = &log_;
    if (change) change(options);
    auto server = GrpcServer::Start(std::move(options));
    ASSERT_TRUE(server.ok()) << server.status().ToString();
    server_ = std::move(*server);
    echo_.SetServer(server_.get());
  }
  // A channel that shares no connection with others.
  std::shared_ptr<grpc::Channel> NewChannel() {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel("unix:" + path_, grpc::InsecureChannelCredentials(),
                                     arguments);
  }

  TempDir dir_;
  std::string path_ = dir_ / "api.sock";
  FakeClock clock_;
  FakeLog log_;
  EchoService echo_;
  std::unique_ptr<GrpcServer> server_;
};

TEST_F(GrpcServerTest, HandlerKnowsTheCallingProcess) {
  std::atomic<pid_t> pid = 0;
  std::atomic<uid_t> uid = 12345;
  echo_.SetOnCall([&](const Peer* peer, const grpc::CallbackServerContext&) {
    if (peer == nullptr || peer->kind != Peer::Kind::kUnix) return grpc::Status::CANCELLED;
    pid = peer->caller->pid();
    uid = peer->caller->uid();
    return peer->caller->Alive() ? grpc::Status::OK : grpc::Status::CANCELLED;
  });
  Start();
  grpc::Status status = Echo(UnixChannel(path_));
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(pid, getpid());
  EXPECT_EQ(uid, geteuid());
}

TEST_F(GrpcServerTest, WorksOnKernelsWithoutPeerPidfd) {
  echo_.SetOnCall([&](const Peer* peer, const grpc::CallbackServerContext&) {
    return peer->caller->pid() == getpid() ? grpc::Status::OK : grpc::Status::CANCELLED;
  });
  Start([](GrpcServerOptions& o) { o.peer_pidfd = [](int) { return -ENOPROTOOPT; }; });
  EXPECT_TRUE(Echo(UnixChannel(path_)).ok());
}

TEST_F(GrpcServerTest, ConnectionsOfManyThreadsComeAndGoWithoutMixUp) {
  std::atomic<int> wrong = 0;
  echo_.SetOnCall([&](const Peer* peer, const grpc::CallbackServerContext&) {
    if (peer == nullptr || peer->caller->pid() != getpid()) ++wrong;
    return grpc::Status::OK;
  });
  Start();
  constexpr int kThreads = 4;
  constexpr int kConnectionsEach = 50;
  std::atomic<int> good = 0;
  {
    std::vector<Thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back("client", [&](std::stop_token) {
        for (int n = 0; n < kConnectionsEach; ++n) good += Echo(NewChannel()).ok();
      });
    }
  }
  EXPECT_EQ(good, kThreads * kConnectionsEach);
  EXPECT_EQ(wrong, 0);
  AwaitNoConnection(*server_);
}

TEST_F(GrpcServerTest, ClientsThatVanishLeaveNothingBehind) {
  Start();
  for (int i = 0; i < 200; ++i) {
    Fd client = ConnectUnix(path_);
    std::string_view preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    size_t sent = static_cast<size_t>(i) % (preface.size() + 1);
    if (sent > 0) send(client.get(), preface.data(), sent, MSG_NOSIGNAL);
  }
  AwaitNoConnection(*server_);
  EXPECT_TRUE(Echo(UnixChannel(path_)).ok());
}

TEST_F(GrpcServerTest, SilentClientIsDroppedAtTheDeadline) {
  Start();
  Fd silent = ConnectUnix(path_);
  Fd dribbling = ConnectUnix(path_);
  ASSERT_EQ(send(dribbling.get(), "PRI", 3, 0), 3);
  EXPECT_TRUE(Echo(UnixChannel(path_)).ok());  // both have been accepted by now
  clock_.Advance(std::chrono::seconds(11));
  AwaitClosed(silent.get());
  AwaitClosed(dribbling.get());
}

TEST_F(GrpcServerTest, WhatIsNotHttp2IsClosedAtOnce) {
  Start();
  Fd client = ConnectUnix(path_);
  std::string_view request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
  ASSERT_GT(send(client.get(), request.data(), request.size(), 0), 0);
  AwaitClosed(client.get());
}

TEST_F(GrpcServerTest, ConnectionsOfAClientAboveItsShareAreRefusedAndLoggedOnce) {
  Start([](GrpcServerOptions& o) { o.connections_max = 4; });
  std::vector<Fd> clients;
  for (int i = 0; i < 3; ++i) clients.push_back(ConnectUnix(path_));
  for (int i = 0; i < 5; ++i) AwaitClosed(ConnectUnix(path_).get());
  EXPECT_EQ(log_.Count("share of the connections"), 1);
  clients.clear();
  AwaitNoConnection(*server_);
  EXPECT_TRUE(Echo(UnixChannel(path_)).ok());
}

constexpr const char* kEchoPath = "/spire.api.server.agent.v1.Agent/CreateJoinToken";

TEST_F(GrpcServerTest, AClientThatResetsItsCallsAtOnceIsStoppedAndLoggedOnce) {
  Start();
  for (int connection = 0; connection < 2; ++connection) {
    Fd client = ConnectUnix(path_);
    std::string bytes(kHttp2Preface);
    bytes += Http2FrameBytes(4, 0, 0, "");
    for (uint32_t stream = 1; stream < 8000; stream += 2) {
      bytes += CallFrames(stream, kEchoPath) + ResetFrame(stream);
    }
    ssize_t sent = send(client.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    EXPECT_LT(sent, static_cast<ssize_t>(bytes.size()));
    AwaitClosed(client.get());
  }
  EXPECT_EQ(log_.Count("too much is asked"), 1);
  AwaitNoConnection(*server_);
  EXPECT_TRUE(Echo(UnixChannel(path_)).ok());
}

TEST_F(GrpcServerTest, AClientWhoseHeadersHaveNoEndIsStoppedAndLoggedOnce) {
  Start();
  const std::string bytes =
      std::string(kHttp2Preface) + Http2FrameBytes(4, 0, 0, "") + EndlessHeaders(1);
  for (int connection = 0; connection < 2; ++connection) {
    Fd client = ConnectUnix(path_);
    ssize_t sent = send(client.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    EXPECT_LT(sent, static_cast<ssize_t>(bytes.size()));
    AwaitClosed(client.get());
  }
  EXPECT_EQ(log_.Count("too much is asked"), 1);
  EXPECT_GE(log_.Count("headers of a call are too long"), 1);
  AwaitNoConnection(*server_);
  EXPECT_TRUE(Echo(UnixChannel(path_)).ok());
}

// gRPC itself would let each connection hold 1,000.
TEST_F(GrpcServerTest, AClientWithItsShareOfOpenCallsLosesTheConnectionThatAsksForMore) {
  Start([](GrpcServerOptions& o) { o.connections_max = 100; });
  std::string bytes(kHttp2Preface);
  bytes += Http2FrameBytes(4, 0, 0, "");
  for (uint32_t stream = 1; stream < 2 * 900; stream += 2) {
    bytes += CallHeaders(stream, kEchoPath);  // their message never comes
  }
  std::vector<Fd> clients;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(ConnectUnix(path_));
    ASSERT_EQ(send(clients.back().get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  while (log_.Count("share of the open calls") == 0) poll(nullptr, 0, 1);
  while (server_->ConnectionCount() > 3) poll(nullptr, 0, 1);
  EXPECT_TRUE(Echo(UnixChannel(path_)).ok()) << "a call less than its share";
}

TEST_F(GrpcServerTest, AClientThatCancelsAllItsCallsAtOnceIsServed) {
  Start();
  auto channel = UnixChannel(path_);
  auto stub = spire::api::server::agent::v1::Agent::NewStub(channel);
  constexpr int kCalls = 900;
  struct Call {
    grpc::ClientContext context;
    spire::api::server::agent::v1::CountAgentsRequest request;
    spire::api::server::agent::v1::CountAgentsResponse response;
  };
  for (int round = 0; round < 2; ++round) {
    std::vector<std::unique_ptr<Call>> calls;
    std::atomic<int> left = kCalls;
    for (int i = 0; i < kCalls; ++i) {
      calls.push_back(std::make_unique<Call>());
      Call& call = *calls.back();
      stub->async()->CountAgents(&call.context, &call.request, &call.response,
                                 [&left](const grpc::Status&) { --left; });
    }
    for (const auto& call : calls) call->context.TryCancel();
    while (left > 0) poll(nullptr, 0, 1);
  }
  EXPECT_TRUE(Echo(channel).ok());
  EXPECT_EQ(log_.Count("too much is asked"), 0);
}

TEST_F(GrpcServerTest, GoesOnAfterDescriptorsRanOut) {
  SystemClock system_clock;
  Start([&](GrpcServerOptions& o) { o.clock = &system_clock; });
  ASSERT_TRUE(Echo(UnixChannel(path_)).ok());
  std::vector<Fd> clients;
  for (int i = 0; i < 32; ++i) {
    clients.emplace_back(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  }
  rlimit old{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
  rlimit low = old;
  low.rlim_cur = 200;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  std::vector<Fd> filler;
  while (true) {
    Fd fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!fd.valid()) break;
    filler.push_back(std::move(fd));
  }
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path_.data(), path_.size());
  for (const Fd& client : clients) {
    ASSERT_EQ(connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  AwaitLine(log_, "refused");  // for want of a descriptor for it, or for its pidfd
  filler.clear();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
  clients.clear();
  EXPECT_TRUE(Echo(UnixChannel(path_)).ok());
  server_.reset();
}

TEST_F(GrpcServerTest, MessagesUpToTheLimitPassAndNoLarger) {
  Start();
  EXPECT_TRUE(Echo(UnixChannel(path_), 3 << 20).ok());
  EXPECT_EQ(Echo(UnixChannel(path_), 5 << 20).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(GrpcServerTest, DeadlineOfACallIsKept) {
  Start();
  EXPECT_EQ(Hang(UnixChannel(path_), 50).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
}

TEST_F(GrpcServerTest, ShutdownEndsTheServiceAndRemovesTheSocket) {
  Start();
  auto channel = UnixChannel(path_);
  ASSERT_TRUE(Echo(channel).ok());
  server_->Shutdown(clock_.Monotonic());
  EXPECT_EQ(Echo(channel).error_code(), grpc::StatusCode::UNAVAILABLE);
  struct stat found {};
  EXPECT_NE(stat(path_.c_str(), &found), 0);
}

TEST_F(GrpcServerTest, UnusableListenerIsExplained) {
  GrpcServerOptions options;
  options.name = "admin";
  options.services = {&echo_};
  options.unix_listeners = {{.path = "/proc/writ/api.sock"}};
  options.clock = &clock_;
  options.log = &log_;
  auto server = GrpcServer::Start(std::move(options));
  EXPECT_FALSE(server.ok());
  EXPECT_NE(server.status().message().find("start the admin endpoint"), std::string::npos);
}

TEST(GrpcStatusTest, CodesAndMessagesSurviveTheWayThereAndBack) {
  for (int code = 1; code <= 16; ++code) {
    Status status(static_cast<Code>(code), "why");
    EXPECT_EQ(FromGrpc(ToGrpc(status)), status);
  }
  EXPECT_TRUE(ToGrpc(OkStatus()).ok());
  EXPECT_TRUE(FromGrpc(grpc::Status::OK).ok());
  EXPECT_EQ(FromGrpc(grpc::Status(static_cast<grpc::StatusCode>(99), "x")).code(), Code::kUnknown);
}

}  // namespace
}  // namespace writ
