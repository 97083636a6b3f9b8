// SPDX-License-Identifier: Apache-2.0
//
// PendingBytes: plaintext that waits for room on a socket. Private keys and tokens are in it, so
// that what was taken is wiped; it holds no memory while it is empty.
//
// Threads: one thread at a time.
#pragma once

#include <string>
#include <string_view>

#include "core/base/secret.h"

namespace writ {

class PendingBytes {
 public:
  PendingBytes() = default;
  PendingBytes(const PendingBytes&) = delete;
  PendingBytes& operator=(const PendingBytes&) = delete;
  ~PendingBytes() { Clear(); }

  bool empty() const { return bytes_.empty(); }
  std::string_view view() const { return std::string_view(bytes_).substr(taken_); }
  // Only before the first Take(): what it had is copied when it grows.
  void Append(std::string_view bytes) { bytes_.append(bytes); }
  // The first `count` have found room.
  void Take(size_t count) {
    Wipe(bytes_.data() + taken_, count);
    taken_ += count;
    if (taken_ == bytes_.size()) Clear();
  }
  void Clear() {
    Wipe(bytes_.data() + taken_, bytes_.size() - taken_);
    taken_ = 0;
    bytes_.clear();
    bytes_.shrink_to_fit();
  }

 private:
  std::string bytes_;
  size_t taken_ = 0;
};

}  // namespace writ
