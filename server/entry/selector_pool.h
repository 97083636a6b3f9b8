// SPDX-License-Identifier: Apache-2.0
//
// SelectorPool: every selector that some entry or agent has, once, counted by its uses. A set of
// them is a sorted list of pointers: sets compare without touching text.
//
// Threads: as its owner. Lifetime: a pointer holds while somebody uses its selector.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/spiffe/selector.h"

namespace writ {

// Hashes text under any of its types, so that a lookup makes no string.
struct TextHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};

class SelectorPool {
 public:
  using Node = std::pair<const std::string, uint32_t>;  // "type:value" and how many use it
  using Set = std::vector<const Node*>;                 // sorted, without repeats

  Set Acquire(const Selectors& selectors);
  void Release(const Set& set);

  // Those of `selectors` that are in use; `all_known` tells whether all are.
  Set Find(const Selectors& selectors, bool* all_known) const;
  static Selectors Read(const Set& set);
  size_t size() const { return nodes_.size(); }

 private:
  std::unordered_map<std::string, uint32_t, TextHash, std::equal_to<>> nodes_;
};

}  // namespace writ
