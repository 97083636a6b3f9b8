// SPDX-License-Identifier: Apache-2.0
//
// Selector: one attested property, "type:value" ("unix:uid:1000": type "unix", value "uid:1000").
// Selectors: a sorted set of them, without repeats, so that equal sets compare equal.
//
// Trust: Parse takes hostile text: type not empty and without ':', value not empty.
// Threads: values.
#pragma once

#include <compare>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace writ {

inline constexpr size_t kSelectorBytesMax = 8192;

struct Selector {
  std::string type;
  std::string value;

  static Result<Selector> Parse(std::string_view text);  // "type:value"
  static Result<Selector> Make(std::string_view type, std::string_view value);
  std::string text() const { return type + ":" + value; }
  auto operator<=>(const Selector&) const = default;
};

// What a copy takes in memory, about.
inline size_t BytesOf(const Selector& selector) {
  return sizeof(selector) + selector.type.size() + selector.value.size();
}

class Selectors {
 public:
  Selectors() = default;
  explicit Selectors(std::vector<Selector> selectors);
  Selectors(std::initializer_list<Selector> selectors)
      : Selectors(std::vector<Selector>(selectors)) {}

  bool Contains(const Selector& selector) const;
  bool ContainsAll(const Selectors& subset) const;
  void Insert(Selector selector);
  size_t size() const { return sorted_.size(); }
  bool empty() const { return sorted_.empty(); }
  auto begin() const { return sorted_.begin(); }
  auto end() const { return sorted_.end(); }
  auto operator<=>(const Selectors&) const = default;

 private:
  std::vector<Selector> sorted_;
};

}  // namespace writ
