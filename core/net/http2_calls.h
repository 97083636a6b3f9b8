// SPDX-License-Identifier: Apache-2.0
//
// AbandonedCalls: counts, from the frames of both directions, the calls of one HTTP/2 connection
// that were reset before the server had said anything on them.
//
// Why: gRPC frees a stream's place among those that may be open as soon as it is reset, while the
// call itself lives on until its handler has noticed. A client that opens and resets without pause
// ("rapid reset") so piles up calls without any limit. It does not matter which side resets: a
// client can make a server do it, by a frame that is in error. Calls that were answered before do
// not count, so that a client may take the first answer of a stream and leave as often as it likes.
//
// Trust: the client is hostile. Threads: one thread at a time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/net/http2_frames.h"

namespace writ {

class AbandonedCalls {
 public:
  // Twice what a client may have open; calls above that are refused by gRPC and forgotten here.
  static constexpr size_t kUnansweredMax = 2000;

  // Each returns how many calls these bytes abandoned.
  size_t FromClient(std::string_view bytes) {
    size_t abandoned = 0;
    client_.Feed(bytes, [&](const Http2Frame& frame) {
      if (frame.type == Http2Frame::kHeaders) Opened(frame.stream);
      if (frame.type == Http2Frame::kRstStream) abandoned += Forget(frame.stream);
    });
    return abandoned;
  }
  size_t FromServer(std::string_view bytes) {
    size_t abandoned = 0;
    server_.Feed(bytes, [&](const Http2Frame& frame) {
      if (frame.type == Http2Frame::kHeaders) Forget(frame.stream);
      if (frame.type == Http2Frame::kRstStream) abandoned += Forget(frame.stream);
    });
    return abandoned;
  }
  // Whether a frame of ours may follow what the server has sent.
  bool ServerAtBoundary() const { return server_.AtBoundary(); }
  uint32_t last_stream() const { return last_stream_; }

 private:
  // A client's streams are odd and rise (RFC 9113 section 5.1.1); gRPC ends what breaks that.
  void Opened(uint32_t stream) {
    if (stream % 2 == 0 || stream <= last_stream_) return;
    last_stream_ = stream;
    if (unanswered_.size() == kUnansweredMax) unanswered_.erase(unanswered_.begin());
    unanswered_.push_back(stream);
  }
  // How many calls wait no more: none or one.
  size_t Forget(uint32_t stream) {
    auto found = std::lower_bound(unanswered_.begin(), unanswered_.end(), stream);
    if (found == unanswered_.end() || *found != stream) return 0;
    unanswered_.erase(found);
    return 1;
  }

  Http2FrameScanner client_{Http2FrameScanner::Side::kClient};
  Http2FrameScanner server_{Http2FrameScanner::Side::kServer};
  uint32_t last_stream_ = 0;
  std::vector<uint32_t> unanswered_;  // rising
};

}  // namespace writ
