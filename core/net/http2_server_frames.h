// SPDX-License-Identifier: Apache-2.0
//
// ServerFrames: what a client must know of the frames that its HTTP/2 server sends: whether GOAWAY
// was among them, as gRPC refuses new calls on such a connection while old streams hold it open,
// and a channel on a descriptor cannot be asked; and whether their header blocks have an end.
//
// Trust: the bytes are hostile; they are counted, not believed. Threads: one thread at a time.
#pragma once

#include <string_view>

#include "core/net/http2_frames.h"
#include "core/net/http2_header_blocks.h"

namespace writ {

class ServerFrames {
 public:
  // The stream's next bytes, in pieces of any size.
  void Feed(std::string_view bytes) {
    scanner_.Feed(bytes, [this](const Http2Frame& frame) {
      headers_.Add(frame);
      if (frame.type == Http2Frame::kGoaway) goaway_ = true;
    });
  }
  // Since GOAWAY's frame header was there.
  bool goaway() const { return goaway_; }
  const HeaderBlocks& headers() const { return headers_; }

 private:
  Http2FrameScanner scanner_{Http2FrameScanner::Side::kServer};
  HeaderBlocks headers_;
  bool goaway_ = false;
};

}  // namespace writ
