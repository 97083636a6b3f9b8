// SPDX-License-Identifier: Apache-2.0
//
// Two tunnels back to back, moved by one thread:
// plain A <-> tunnel <-> wire <-> tunnel <-> plain B.
#include "core/net/tunnel.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "core/base/random.h"
#include "core/net/http2_server_frames.h"
#include "core/net/test_tls.h"
#include "core/net/tls_session.h"

namespace writ {
namespace {

constexpr size_t kManyBytes = 8 << 20;

std::pair<Fd, Fd> SocketPair() {
  int ends[2];
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
  return {Fd(ends[0]), Fd(ends[1])};
}

class TunnelTest : public ::testing::Test {
 protected:
  TunnelTest() {
    TlsIdentity identity = ca_.Issue("spiffe://example.org/server");
    SslContextPtr server = *MakeSslContext(TlsSide::kServer, &identity);
    SslContextPtr client = *MakeSslContext(TlsSide::kClient, nullptr);
    auto [server_wire, client_wire] = SocketPair();
    auto server_session =
        *TlsSession::Make(TlsSide::kServer, server.get(), server_wire.get(), AcceptAnyPeer);
    auto client_session =
        *TlsSession::Make(TlsSide::kClient, client.get(), client_wire.get(), AcceptAnyPeer);
    bool server_done = false;
    bool client_done = false;
    for (int i = 0; i < 100 && !(server_done && client_done); ++i) {
      client_done = *client_session->Handshake();
      server_done = *server_session->Handshake();
    }
    a_ = std::make_unique<Tunnel>(std::move(server_session), std::move(server_wire), nullptr);
    b_ = std::make_unique<Tunnel>(std::move(client_session), std::move(client_wire), nullptr);
    auto [a_inner, a_outer] = SocketPair();
    auto [b_inner, b_outer] = SocketPair();
    a_->Attach(std::move(a_inner));
    b_->Attach(std::move(b_inner));
    plain_a_ = std::move(a_outer);
    plain_b_ = std::move(b_outer);
  }

  Tunnel::Progress Move(Tunnel& tunnel) {
    tunnel.SocketReady(EPOLLIN | EPOLLRDHUP);
    tunnel.PlainReady(EPOLLIN | EPOLLRDHUP);
    return tunnel.Pump(scratch_);
  }
  void Turn() {
    a_progress_ = Move(*a_);
    b_progress_ = Move(*b_);
  }
  // What can be sent now; the count.
  static size_t SendSome(const Fd& fd, std::string_view bytes) {
    ssize_t sent = send(fd.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent > 0 ? static_cast<size_t>(sent) : 0;
  }
  // Appends what is there now; false at the end.
  static bool ReceiveSome(const Fd& fd, std::string& bytes) {
    std::array<char, 65536> buffer;
    ssize_t count = recv(fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count > 0) bytes.append(buffer.data(), static_cast<size_t>(count));
    return count != 0;
  }

  TestCa ca_;
  std::array<char, 16384> scratch_;
  std::unique_ptr<Tunnel> a_;
  std::unique_ptr<Tunnel> b_;
  Fd plain_a_;
  Fd plain_b_;
  Tunnel::Progress a_progress_{};
  Tunnel::Progress b_progress_{};
};

TEST_F(TunnelTest, BytesOfBothDirectionsArriveWholeAndInOrder) {
  SystemRandom random;
  std::string to_b = random.Bytes(kManyBytes);
  std::string to_a = random.Bytes(kManyBytes);
  std::string at_b;
  std::string at_a;
  size_t sent_a = 0;
  size_t sent_b = 0;
  while (at_b.size() < to_b.size() || at_a.size() < to_a.size()) {
    sent_a += SendSome(plain_a_, std::string_view(to_b).substr(sent_a));
    sent_b += SendSome(plain_b_, std::string_view(to_a).substr(sent_b));
    Turn();
    ReceiveSome(plain_b_, at_b);
    ReceiveSome(plain_a_, at_a);
  }
  EXPECT_TRUE(at_b == to_b);
  EXPECT_TRUE(at_a == to_a);
}

TEST_F(TunnelTest, WhatPassedIsWiped) {
  scratch_.fill(0);
  const std::string key(3 * scratch_.size() / 2, 'k');
  ASSERT_EQ(SendSome(plain_a_, key), key.size());
  std::string at_b;
  while (at_b.size() < key.size()) {
    Turn();
    ReceiveSome(plain_b_, at_b);
  }
  EXPECT_EQ(at_b, key);
  EXPECT_TRUE(std::ranges::all_of(scratch_, [](char byte) { return byte == 0; }));
}

TEST_F(TunnelTest, AReaderThatDoesNotReadStopsTheWriterAndLosesNothing) {
  const std::string chunk(65536, 'x');
  size_t sent = 0;
  size_t sent_before = 1;
  while (sent != sent_before) {  // until nothing moves any more
    sent_before = sent;
    for (int i = 0; i < 100; ++i) {
      sent += SendSome(plain_a_, chunk);
      Turn();
    }
  }
  EXPECT_LT(sent, kManyBytes) << "buffers are bounded";
  std::string received;
  for (int i = 0; i < 1000; ++i) {
    ReceiveSome(plain_b_, received);
    Turn();
  }
  EXPECT_EQ(received.size(), sent);
}

TEST_F(TunnelTest, EachSideMayEndItsDirectionAlone) {
  ASSERT_EQ(SendSome(plain_a_, "question"), 8u);
  ASSERT_EQ(shutdown(plain_a_.get(), SHUT_WR), 0);
  std::string at_b;
  bool open = true;
  for (int i = 0; i < 10 && open; ++i) {
    Turn();
    open = ReceiveSome(plain_b_, at_b);
  }
  EXPECT_FALSE(open);
  EXPECT_EQ(at_b, "question");
  EXPECT_FALSE(a_->closing());
  ASSERT_EQ(SendSome(plain_b_, "answer"), 6u);
  ASSERT_EQ(shutdown(plain_b_.get(), SHUT_WR), 0);
  std::string at_a;
  open = true;
  for (int i = 0; i < 10 && open; ++i) {
    Turn();
    open = ReceiveSome(plain_a_, at_a);
  }
  EXPECT_EQ(at_a, "answer");
  Turn();
  EXPECT_EQ(a_progress_, Tunnel::Progress::kEnded);
  EXPECT_EQ(b_progress_, Tunnel::Progress::kEnded);
  EXPECT_TRUE(a_->failure().ok());
}

TEST_F(TunnelTest, AClosedPlainEndIsFlushedAndThenEnds) {
  ASSERT_EQ(SendSome(plain_a_, "last words"), 10u);
  plain_a_.Reset();
  Turn();
  EXPECT_TRUE(a_->closing());
  std::string at_b;
  while (ReceiveSome(plain_b_, at_b)) Turn();
  EXPECT_EQ(at_b, "last words");
  plain_b_.Reset();
  Turn();
  Turn();
  EXPECT_EQ(a_progress_, Tunnel::Progress::kEnded);
  EXPECT_EQ(b_progress_, Tunnel::Progress::kEnded);
}

TEST_F(TunnelTest, APeerThatIsGoneEndsTheTunnel) {
  signal(SIGPIPE, SIG_IGN);  // as on every thread that moves tunnels
  b_.reset();
  ASSERT_GT(SendSome(plain_a_, "hello"), 0u);
  EXPECT_EQ(Move(*a_), Tunnel::Progress::kEnded);
}

std::string Frame(unsigned char type, const std::string& payload) {
  std::string frame;
  for (int shift : {16, 8, 0}) frame.push_back(static_cast<char>(payload.size() >> shift));
  frame.push_back(static_cast<char>(type));
  frame.append(5, '\0');
  return frame + payload;
}

TEST(ServerFramesTest, FindsGoawayInPiecesOfAnySize) {
  // The payload looks like a GOAWAY's header, and is none.
  std::string stream = Frame(4, "") + Frame(0, std::string("\0\0\7\7\7\7\7\7", 8)) +
                       Frame(0, std::string(70000, '\7'));
  std::string goodbye = Frame(7, std::string(8, '\0'));
  for (size_t piece : {1u, 2u, 9u, 1000u, 100000u}) {
    ServerFrames frames;
    for (size_t i = 0; i < stream.size(); i += piece) {
      frames.Feed(std::string_view(stream).substr(i, piece));
    }
    EXPECT_FALSE(frames.goaway());
    for (size_t i = 0; i < goodbye.size(); i += piece) {
      frames.Feed(std::string_view(goodbye).substr(i, piece));
    }
    EXPECT_TRUE(frames.goaway());
    frames.Feed("more");
    EXPECT_TRUE(frames.goaway());
  }
}

}  // namespace
}  // namespace writ
