// SPDX-License-Identifier: Apache-2.0
#include "core/base/random.h"

#include <sys/random.h>

#include <cerrno>

#include "core/base/bytes.h"
#include "core/base/status.h"

namespace writ {

std::string Random::Bytes(size_t size) {
  std::string bytes(size, '\0');
  Fill(bytes.data(), bytes.size());
  return bytes;
}

uint64_t Random::Uint64() {
  uint64_t value = 0;
  Fill(&value, sizeof value);
  return value;
}

double Random::Uniform() { return static_cast<double>(Uint64() >> 11) * 0x1p-53; }

std::string Random::Uuid() {
  std::string raw = Bytes(16);
  raw[6] = static_cast<char>((raw[6] & 0x0f) | 0x40);  // RFC 9562, version 4
  raw[8] = static_cast<char>((raw[8] & 0x3f) | 0x80);  // and its variant
  std::string hex = HexEncode(raw);
  return hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-" + hex.substr(12, 4) + "-" +
         hex.substr(16, 4) + "-" + hex.substr(20);
}

void SystemRandom::Fill(void* data, size_t size) {
  char* out = static_cast<char*>(data);
  while (size > 0) {
    ssize_t got = getrandom(out, size, 0);
    if (got < 0) {
      CHECK(errno == EINTR);
      continue;
    }
    out += got;
    size -= static_cast<size_t>(got);
  }
}

}  // namespace writ
