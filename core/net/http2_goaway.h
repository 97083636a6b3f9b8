// SPDX-License-Identifier: Apache-2.0
//
// GoawayWatch: notices HTTP/2's GOAWAY frame in what a server sends. gRPC refuses new calls on such
// a connection while old streams hold it open, and a channel on a descriptor cannot be asked.
//
// Trust: the bytes are hostile; they are counted, not believed. Threads: one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace writ {

class GoawayWatch {
 public:
  // The stream's next bytes, in pieces of any size. True once a GOAWAY's frame header was in them.
  bool Feed(std::string_view bytes) {
    while (!bytes.empty() && !seen_) {
      if (payload_left_ > 0) {
        size_t skipped = bytes.size() < payload_left_ ? bytes.size() : payload_left_;
        payload_left_ -= skipped;
        bytes.remove_prefix(skipped);
        continue;
      }
      TakeHeaderByte(static_cast<unsigned char>(bytes.front()));
      bytes.remove_prefix(1);
    }
    return seen_;
  }

 private:
  // RFC 9113 section 4.1: length (3 bytes), type (1), flags (1), stream (4).
  static constexpr size_t kLengthBytes = 3;
  static constexpr size_t kHeaderBytes = 9;
  static constexpr unsigned char kGoaway = 0x07;

  void TakeHeaderByte(unsigned char byte) {
    if (header_bytes_ < kLengthBytes) length_ = length_ << 8 | byte;
    if (header_bytes_ == kLengthBytes) seen_ = byte == kGoaway;
    if (++header_bytes_ < kHeaderBytes) return;
    payload_left_ = length_;
    length_ = 0;
    header_bytes_ = 0;
  }

  size_t payload_left_ = 0;
  size_t length_ = 0;
  size_t header_bytes_ = 0;
  bool seen_ = false;
};

}  // namespace writ
