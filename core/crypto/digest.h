// SPDX-License-Identifier: Apache-2.0
//
// Digests of bytes. Threads: free functions.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace writ {

std::string Sha1(std::string_view bytes);    // identifiers only (SKI, x509pop fingerprints)
std::string Sha256(std::string_view bytes);  // raw 32 bytes

// SHA-256 of data that comes in pieces.
class Sha256Stream {
 public:
  Sha256Stream();
  ~Sha256Stream();
  Sha256Stream(const Sha256Stream&) = delete;
  Sha256Stream& operator=(const Sha256Stream&) = delete;
  void Update(std::string_view bytes);
  std::string Finish();  // once

 private:
  struct Rep;
  std::unique_ptr<Rep> rep_;
};

}  // namespace writ
