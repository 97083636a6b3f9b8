// SPDX-License-Identifier: Apache-2.0
//
// SPIRE's four ways to match a set against the set of a filter.
#pragma once

#include <algorithm>
#include <vector>

#include "server/entry/registry.h"

namespace writ {

// `candidate` and `wanted` are sorted without repeats. `all_known`: false when the filter also asks
// for members that no candidate can have and that `wanted` therefore leaves out.
template <typename T>
bool MatchesSet(const std::vector<T>& candidate, const std::vector<T>& wanted, bool all_known,
                SelectorMatch match) {
  switch (match) {
    case SelectorMatch::kExact:
      return all_known && candidate == wanted;
    case SelectorMatch::kSubset:
      return !candidate.empty() && std::ranges::includes(wanted, candidate);
    case SelectorMatch::kSuperset:
      return all_known && std::ranges::includes(candidate, wanted);
    case SelectorMatch::kAny:
      return std::ranges::any_of(
          candidate, [&](const T& member) { return std::ranges::binary_search(wanted, member); });
  }
  return false;
}

}  // namespace writ
