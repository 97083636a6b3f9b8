// SPDX-License-Identifier: Apache-2.0
//
// Secret: bytes that must not leak. Wiped when destroyed or moved from, compared in constant time,
// no formatter and no implicit conversion: reading them takes Reveal(), a name that one can grep.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace writ {

// Overwrites in a way that the compiler does not remove.
void Wipe(void* data, size_t size);

class Secret {
 public:
  Secret() = default;
  // Takes the bytes over and wipes what the caller held.
  explicit Secret(std::string&& bytes);
  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&& other) noexcept;
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret();

  Secret Clone() const;
  bool empty() const { return bytes_.empty(); }
  size_t size() const { return bytes_.size(); }
  // Borrowed for as long as the Secret lives. Never to a log, an error or a record.
  std::string_view Reveal() const { return bytes_; }

  // In time that depends on the lengths only.
  friend bool operator==(const Secret& a, const Secret& b);

 private:
  std::string bytes_;
};

bool ConstantTimeEqual(std::string_view a, std::string_view b);

}  // namespace writ
