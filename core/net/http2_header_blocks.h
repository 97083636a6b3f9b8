// SPDX-License-Identifier: Apache-2.0
//
// HeaderBlocks: measures each header block (HEADERS and the CONTINUATION frames after it) of one
// direction of an HTTP/2 connection.
//
// Why: gRPC keeps what it cannot read of a block yet, however much that is, and begins anew with
// each frame. A field that claims to be long, in a block that never ends, so costs memory without a
// limit and the square of its length in time, before anybody is asked who he is.
//
// Trust: the frames are hostile. Threads: one thread at a time.
#pragma once

#include <cstddef>

#include "core/base/status.h"
#include "core/net/http2_frames.h"

namespace writ {

class HeaderBlocks {
 public:
  // Of a block of 8 KiB gRPC refuses the call, and one frame holds twice that.
  static constexpr size_t kBytesMax = 64 << 10;
  static constexpr size_t kFramesMax = 64;

  void Add(const Http2Frame& frame) {
    if (frame.type != Http2Frame::kHeaders && frame.type != Http2Frame::kContinuation) return;
    bytes_ += frame.length;
    ++frames_;
    if (bytes_ > kBytesMax || frames_ > kFramesMax) too_long_ = true;
    if ((frame.flags & Http2Frame::kEndHeaders) != 0) bytes_ = frames_ = 0;
  }

  // ResourceExhausted once a block was longer than is allowed.
  Status Verdict() const {
    return too_long_ ? ResourceExhausted("the headers of a call are too long") : OkStatus();
  }

 private:
  size_t bytes_ = 0;  // of the block that is open
  size_t frames_ = 0;
  bool too_long_ = false;
};

}  // namespace writ
