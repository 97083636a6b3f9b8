// SPDX-License-Identifier: Apache-2.0
//
// Mutator: small random changes of valid bytes, the same for the same seed.
#pragma once

#include <algorithm>
#include <random>
#include <string>

namespace writ {

class Mutator {
 public:
  explicit Mutator(uint64_t seed) : engine_(seed) {}

  std::string Mutate(std::string bytes) {
    size_t changes = 1 + Below(3);
    for (size_t i = 0; i < changes && !bytes.empty(); ++i) Change(bytes);
    return bytes;
  }

 private:
  size_t Below(size_t bound) { return static_cast<size_t>(engine_() % bound); }

  void Change(std::string& bytes) {
    size_t at = Below(bytes.size());
    switch (Below(6)) {
      case 0:
        bytes.erase(at, 1);
        break;
      case 1:
        bytes.insert(at, 1, static_cast<char>(Below(256)));
        break;
      case 2:
        bytes[at] = static_cast<char>(bytes[at] + (Below(2) == 0 ? 1 : -1));
        break;
      case 3:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << Below(8)));
        break;
      case 4:
        std::swap(bytes[at], bytes[Below(bytes.size())]);
        break;
      default:
        bytes[at] = static_cast<char>(Below(256));
    }
  }

  std::mt19937_64 engine_;
};

}  // namespace writ
