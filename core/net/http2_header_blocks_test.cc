// SPDX-License-Identifier: Apache-2.0
#include "core/net/http2_header_blocks.h"

#include <gtest/gtest.h>

namespace writ {
namespace {

constexpr uint32_t kFrameBytes = 16 << 10;  // what gRPC takes in one frame
constexpr uint8_t kEnd = Http2Frame::kEndHeaders;

Http2Frame Frame(uint8_t type, uint8_t flags, uint32_t length) {
  return {.length = length, .type = type, .flags = flags, .stream = 1};
}

TEST(HeaderBlocksTest, ManyBlocksThatEndAreFine) {
  HeaderBlocks headers;
  for (int call = 0; call < 1000; ++call) {
    headers.Add(Frame(Http2Frame::kHeaders, 0, kFrameBytes));
    for (int i = 0; i < 2; ++i) headers.Add(Frame(Http2Frame::kContinuation, 0, kFrameBytes));
    headers.Add(Frame(Http2Frame::kContinuation, kEnd, kFrameBytes));
    headers.Add(Frame(Http2Frame::kData, 0, 1 << 20));
  }
  EXPECT_TRUE(headers.Verdict().ok());
}

TEST(HeaderBlocksTest, ABlockThatIsTooLongIsRefusedForGood) {
  HeaderBlocks headers;
  headers.Add(Frame(Http2Frame::kHeaders, 0, kFrameBytes));
  for (int i = 0; i < 3; ++i) headers.Add(Frame(Http2Frame::kContinuation, 0, kFrameBytes));
  EXPECT_TRUE(headers.Verdict().ok());
  headers.Add(Frame(Http2Frame::kContinuation, kEnd, 1));
  EXPECT_EQ(headers.Verdict().code(), Code::kResourceExhausted);
  headers.Add(Frame(Http2Frame::kHeaders, kEnd, 1));
  EXPECT_EQ(headers.Verdict().code(), Code::kResourceExhausted);
}

TEST(HeaderBlocksTest, ABlockOfTooManyFramesIsRefused) {
  HeaderBlocks headers;
  headers.Add(Frame(Http2Frame::kHeaders, 0, 10));
  for (size_t i = 1; i < HeaderBlocks::kFramesMax; ++i) {
    headers.Add(Frame(Http2Frame::kContinuation, 0, 0));
  }
  EXPECT_TRUE(headers.Verdict().ok());
  headers.Add(Frame(Http2Frame::kContinuation, 0, 0));
  EXPECT_EQ(headers.Verdict().code(), Code::kResourceExhausted);
}

TEST(HeaderBlocksTest, OneFrameMayBeTooLong) {
  HeaderBlocks headers;
  headers.Add(Frame(Http2Frame::kHeaders, kEnd, (1 << 24) - 1));
  EXPECT_EQ(headers.Verdict().code(), Code::kResourceExhausted);
}

}  // namespace
}  // namespace writ
