// SPDX-License-Identifier: Apache-2.0
//
// "Did you mean ...?": the known word nearest to one that was mistyped.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace writ {

// Insertions, deletions, replacements and swaps of neighbors that turn `a` into `b`.
size_t EditDistance(std::string_view a, std::string_view b);

// The nearest of `known` when it is near enough to be meant (a third of the word's length, at least
// two edits); else empty. The earlier wins among equals.
std::string NearestWord(std::string_view word, std::span<const std::string> known);

}  // namespace writ
