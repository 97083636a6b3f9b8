// SPDX-License-Identifier: Apache-2.0
//
// ConnectionCalls: knows, from the frames of both directions, which calls of one HTTP/2 connection
// are open, and counts those that were abandoned: reset before the server had said anything.
//
// Why: gRPC frees a stream's place among those that may be open as soon as it is reset, while the
// call itself lives on until its handler has noticed. A client that opens and resets without pause
// ("rapid reset") so piles up calls without any limit. It does not matter which side resets: a
// client can make a server do it, by a frame that is in error. Calls that were answered before do
// not count, so that a client may take the first answer of a stream and leave as often as it likes.
// And gRPC limits the calls of a connection, but not those of a client with many connections.
//
// Trust: the client is hostile. Threads: one thread at a time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/net/http2_frames.h"
#include "core/net/http2_header_blocks.h"

namespace writ {

class ConnectionCalls {
 public:
  // Twice what a client may have open; of calls above that, which gRPC refuses, the oldest is taken
  // for abandoned.
  static constexpr size_t kOpenMax = 2000;

  // Each returns how many calls these bytes abandoned.
  size_t FromClient(std::string_view bytes) {
    size_t abandoned = 0;
    client_.Feed(bytes, [&](const Http2Frame& frame) {
      headers_.Add(frame);
      if (frame.type == Http2Frame::kHeaders) abandoned += Opened(frame.stream);
      if (frame.type == Http2Frame::kRstStream) abandoned += Closed(frame.stream);
    });
    return abandoned;
  }
  // A call ends when the server has ended its side of it: gRPC keeps no call beyond.
  size_t FromServer(std::string_view bytes) {
    size_t abandoned = 0;
    server_.Feed(bytes, [&](const Http2Frame& frame) {
      if (frame.type == Http2Frame::kHeaders) Answered(frame.stream);
      if (frame.type == Http2Frame::kRstStream || frame.Ends()) abandoned += Closed(frame.stream);
    });
    return abandoned;
  }
  size_t open() const { return calls_.size(); }
  const HeaderBlocks& headers() const { return headers_; }  // the client's
  // Whether a frame of ours may follow what the server has sent.
  bool ServerAtBoundary() const { return server_.AtBoundary(); }
  uint32_t last_stream() const { return last_stream_; }

 private:
  struct OpenCall {
    uint32_t stream : 31;
    uint32_t answered : 1;
  };

  // A client's streams are odd and rise (RFC 9113 section 5.1.1); gRPC ends what breaks that.
  size_t Opened(uint32_t stream) {
    if (stream % 2 == 0 || stream <= last_stream_) return 0;
    last_stream_ = stream;
    const bool full = calls_.size() == kOpenMax;
    if (full) calls_.erase(calls_.begin());
    calls_.push_back({.stream = stream, .answered = 0});
    return full ? 1 : 0;
  }
  void Answered(uint32_t stream) {
    auto found = Find(stream);
    if (found != calls_.end()) found->answered = 1;
  }
  // How many calls were abandoned by it: none or one.
  size_t Closed(uint32_t stream) {
    auto found = Find(stream);
    if (found == calls_.end()) return 0;
    const bool abandoned = found->answered == 0;
    calls_.erase(found);
    return abandoned ? 1 : 0;
  }
  std::vector<OpenCall>::iterator Find(uint32_t stream) {
    auto found = std::lower_bound(
        calls_.begin(), calls_.end(), stream,
        [](const OpenCall& call, uint32_t wanted) { return call.stream < wanted; });
    return found != calls_.end() && found->stream == stream ? found : calls_.end();
  }

  Http2FrameScanner client_{Http2FrameScanner::Side::kClient};
  Http2FrameScanner server_{Http2FrameScanner::Side::kServer};
  HeaderBlocks headers_;
  uint32_t last_stream_ = 0;
  std::vector<OpenCall> calls_;  // by stream, rising
};

}  // namespace writ
