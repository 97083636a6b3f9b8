// SPDX-License-Identifier: Apache-2.0
//
// GoawayWatch: notices HTTP/2's GOAWAY frame in what a server sends. gRPC refuses new calls on such
// a connection while old streams hold it open, and a channel on a descriptor cannot be asked.
//
// Trust: the bytes are hostile; they are counted, not believed. Threads: one thread at a time.
#pragma once

#include <string_view>

#include "core/net/http2_frames.h"

namespace writ {

class GoawayWatch {
 public:
  // The stream's next bytes, in pieces of any size. True once a GOAWAY's frame header was in them.
  bool Feed(std::string_view bytes) {
    scanner_.Feed(bytes, [this](const Http2Frame& frame) {
      if (frame.type == Http2Frame::kGoaway) seen_ = true;
    });
    return seen_;
  }

 private:
  Http2FrameScanner scanner_{Http2FrameScanner::Side::kServer};
  bool seen_ = false;
};

}  // namespace writ
