// SPDX-License-Identifier: Apache-2.0
#include "core/base/secret.h"

#include <string.h>

#include <cstdint>

namespace writ {

void Wipe(void* data, size_t size) { explicit_bzero(data, size); }

// A short string lives inside the object, so a move copies it: the source is wiped either way.
Secret::Secret(std::string&& bytes) : bytes_(bytes) {
  Wipe(bytes.data(), bytes.size());
  bytes.clear();
}

Secret::Secret(Secret&& other) noexcept : Secret(std::move(other.bytes_)) {}

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this == &other) return *this;
  Wipe(bytes_.data(), bytes_.size());
  bytes_ = other.bytes_;
  Wipe(other.bytes_.data(), other.bytes_.size());
  other.bytes_.clear();
  return *this;
}

Secret::~Secret() { Wipe(bytes_.data(), bytes_.size()); }

Secret Secret::Clone() const { return Secret(std::string(bytes_)); }

bool operator==(const Secret& a, const Secret& b) { return ConstantTimeEqual(a.bytes_, b.bytes_); }

bool ConstantTimeEqual(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  uint8_t difference = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference = static_cast<uint8_t>(difference | (a[i] ^ b[i]));
  }
  return difference == 0;
}

}  // namespace writ
