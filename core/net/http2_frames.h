// SPDX-License-Identifier: Apache-2.0
//
// Http2FrameScanner: the frame headers in one direction of an HTTP/2 connection, as its bytes pass
// by in pieces of any size. Payloads are counted, not read and not kept.
//
// Trust: the bytes are hostile. Any bytes are a sequence of frames, so that nothing is refused
// here (gRPC does that); a frame is told once its nine bytes of header are there. Threads: one
// thread at a time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace writ {

// What a client sends first of all.
inline constexpr std::string_view kHttp2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// RFC 9113 section 4.1.
struct Http2Frame {
  enum Type : uint8_t {
    kData = 0x0,
    kHeaders = 0x1,
    kRstStream = 0x3,
    kGoaway = 0x7,
    kContinuation = 0x9
  };
  static constexpr uint8_t kEndStream = 0x1;   // of DATA and HEADERS
  static constexpr uint8_t kEndHeaders = 0x4;  // of HEADERS and CONTINUATION
  // Whether its sender says no more on its stream.
  bool Ends() const { return (type == kData || type == kHeaders) && (flags & kEndStream) != 0; }

  uint32_t length;
  uint8_t type;
  uint8_t flags;
  uint32_t stream;
};

class Http2FrameScanner {
 public:
  enum class Side { kClient, kServer };
  // A client's first frame follows its preface, whose bytes the caller has checked.
  explicit Http2FrameScanner(Side side)
      : skip_bytes_(side == Side::kClient ? kHttp2Preface.size() : 0) {}

  // `on_frame(const Http2Frame&)` for each header that these bytes complete.
  template <typename OnFrame>
  void Feed(std::string_view bytes, const OnFrame& on_frame) {
    while (!bytes.empty()) {
      if (skip_bytes_ > 0) {
        size_t skipped = std::min<size_t>(bytes.size(), skip_bytes_);
        skip_bytes_ -= static_cast<uint32_t>(skipped);
        bytes.remove_prefix(skipped);
        continue;
      }
      header_[header_bytes_++] = static_cast<unsigned char>(bytes.front());
      bytes.remove_prefix(1);
      if (header_bytes_ < kHeaderBytes) continue;
      header_bytes_ = 0;
      Http2Frame frame = Header();
      skip_bytes_ = frame.length;
      on_frame(frame);
    }
  }

  // Whether another frame may be put in here.
  bool AtBoundary() const { return skip_bytes_ == 0 && header_bytes_ == 0; }

 private:
  static constexpr size_t kHeaderBytes = 9;

  // Length (3 bytes), type (1), flags (1), a reserved bit and the stream (4).
  Http2Frame Header() const {
    auto number = [this](size_t from, size_t to) {
      uint32_t value = 0;
      for (size_t i = from; i < to; ++i) value = value << 8 | header_[i];
      return value;
    };
    return {.length = number(0, 3),
            .type = header_[3],
            .flags = header_[4],
            .stream = number(5, 9) & 0x7fffffff};
  }

  uint32_t skip_bytes_;  // of a payload or the preface
  uint8_t header_bytes_ = 0;
  unsigned char header_[kHeaderBytes] = {};
};

}  // namespace writ
