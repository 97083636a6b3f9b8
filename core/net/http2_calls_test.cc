// SPDX-License-Identifier: Apache-2.0
#include "core/net/http2_calls.h"

#include <gtest/gtest.h>

#include <string>

#include "core/net/test_http2.h"

namespace writ {
namespace {

std::string Headers(uint32_t stream) { return Http2FrameBytes(1, 4, stream, "block"); }
std::string Data(uint32_t stream) { return Http2FrameBytes(0, 0, stream, "message"); }

TEST(ConnectionCallsTest, CountsResetsBeforeTheAnswerWhateverThePieces) {
  std::string bytes(kHttp2Preface);
  bytes += Http2FrameBytes(4, 0, 0, "");
  for (uint32_t stream : {1u, 3u, 5u}) {
    bytes += Headers(stream) + Data(stream) + ResetFrame(stream);
  }
  for (size_t piece : {1u, 2u, 9u, 30u, 1000u}) {
    ConnectionCalls calls;
    size_t abandoned = 0;
    for (size_t i = 0; i < bytes.size(); i += piece) {
      abandoned += calls.FromClient(std::string_view(bytes).substr(i, piece));
    }
    EXPECT_EQ(abandoned, 3u);
    EXPECT_EQ(calls.last_stream(), 5u);
  }
}

TEST(ConnectionCallsTest, AnsweredCallsMayBeResetFreely) {
  ConnectionCalls calls;
  calls.FromClient(std::string(kHttp2Preface) + Headers(1) + Headers(3));
  EXPECT_EQ(calls.FromServer(Headers(1) + Data(1) + Headers(3)), 0u);
  EXPECT_EQ(calls.FromClient(ResetFrame(1)), 0u);
  EXPECT_EQ(calls.FromServer(ResetFrame(3)), 0u);
}

TEST(ConnectionCallsTest, ACallThatTheServerWasMadeToResetCounts) {
  ConnectionCalls calls;
  calls.FromClient(std::string(kHttp2Preface) + Headers(1));
  EXPECT_EQ(calls.FromServer(ResetFrame(1)), 1u);
  EXPECT_EQ(calls.FromClient(ResetFrame(1)), 0u) << "once";
}

TEST(ConnectionCallsTest, ResetsOfWhatIsNoOpenCallDoNotCount) {
  ConnectionCalls calls;
  std::string preface(kHttp2Preface);
  EXPECT_EQ(calls.FromClient(preface + ResetFrame(1) + ResetFrame(0) + ResetFrame(2)), 0u);
  EXPECT_EQ(calls.FromClient(Headers(2) + ResetFrame(2)), 0u) << "not a client's stream";
  EXPECT_EQ(calls.FromClient(Headers(5) + Headers(3) + ResetFrame(3)), 0u) << "an old stream";
  EXPECT_EQ(calls.FromClient(Headers(5) + ResetFrame(5)), 1u) << "trailers open nothing";
}

TEST(ConnectionCallsTest, RemembersNoMoreCallsThanItsLimitAndTakesTheOldestForAbandoned) {
  ConnectionCalls calls;
  calls.FromClient(kHttp2Preface);
  constexpr uint32_t kCalls = 2 * ConnectionCalls::kOpenMax;
  size_t abandoned = 0;
  for (uint32_t i = 0; i < kCalls; ++i) abandoned += calls.FromClient(Headers(2 * i + 1));
  EXPECT_EQ(abandoned, ConnectionCalls::kOpenMax);
  EXPECT_EQ(calls.open(), ConnectionCalls::kOpenMax);
  for (uint32_t i = 0; i < kCalls; ++i) abandoned += calls.FromClient(ResetFrame(2 * i + 1));
  EXPECT_EQ(abandoned, kCalls);
  EXPECT_EQ(calls.open(), 0u);
}

TEST(ConnectionCallsTest, ACallIsOpenUntilTheServerEndsItOrEitherResetsIt) {
  ConnectionCalls calls;
  calls.FromClient(std::string(kHttp2Preface) + Headers(1) + Headers(3) + Headers(5) + Headers(7));
  calls.FromServer(Headers(1) + Headers(3) + Headers(5) + Data(1) + Data(3));
  calls.FromClient(Http2FrameBytes(0, 1, 1, ""));
  EXPECT_EQ(calls.open(), 4u) << "a client that has said all waits for the answer";
  calls.FromServer(Http2FrameBytes(1, 5, 1, "trailers"));
  EXPECT_EQ(calls.open(), 3u);
  calls.FromServer(Http2FrameBytes(0, 1, 3, "last message"));
  EXPECT_EQ(calls.open(), 2u);
  calls.FromClient(ResetFrame(5));
  EXPECT_EQ(calls.open(), 1u);
  EXPECT_EQ(calls.FromServer(Http2FrameBytes(1, 5, 7, "trailers only")), 0u) << "it was answered";
  EXPECT_EQ(calls.open(), 0u);
}

TEST(ConnectionCallsTest, KnowsWhereAFrameOfOursMayFollow) {
  ConnectionCalls calls;
  EXPECT_TRUE(calls.ServerAtBoundary());
  std::string frame = Data(1);
  for (size_t i = 0; i + 1 < frame.size(); ++i) {
    calls.FromServer(frame.substr(i, 1));
    EXPECT_FALSE(calls.ServerAtBoundary());
  }
  calls.FromServer(frame.substr(frame.size() - 1));
  EXPECT_TRUE(calls.ServerAtBoundary());
}

}  // namespace
}  // namespace writ
