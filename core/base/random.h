// SPDX-License-Identifier: Apache-2.0
//
// Random: the only source of randomness outside OpenSSL's own key generation. The system's source
// is the kernel's; tests and the simulation use a seeded one (test/fake).
//
// Threads: thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace writ {

class Random {
 public:
  virtual ~Random() = default;
  // Fills `size` bytes, fit for secrets and serial numbers.
  virtual void Fill(void* data, size_t size) = 0;

  std::string Bytes(size_t size);
  uint64_t Uint64();
  // In [0, 1).
  double Uniform();
  // A version 4 UUID in lower case: entry IDs, join tokens.
  std::string Uuid();
};

class SystemRandom final : public Random {
 public:
  void Fill(void* data, size_t size) override;
};

}  // namespace writ
