// SPDX-License-Identifier: Apache-2.0
#include "core/spiffe/entry.h"

#include <algorithm>
#include <array>

#include "core/base/bytes.h"

namespace writ {
namespace {

// A table: of a random ID a processor cannot foresee which kind of character comes next.
constexpr auto kEntryIdChars = [] {
  std::array<bool, 256> allowed{};
  for (int c = 'a'; c <= 'z'; ++c) allowed[c] = true;
  for (int c = 'A'; c <= 'Z'; ++c) allowed[c] = true;
  for (int c = '0'; c <= '9'; ++c) allowed[c] = true;
  for (char c : {'-', '_', '.'}) allowed[c] = true;
  return allowed;
}();

}  // namespace

bool Entry::ForNodes() const {
  return std::any_of(selectors.begin(), selectors.end(), IsForNodes<Selector>);
}

Status ValidateEntryId(std::string_view id) {
  if (id.empty()) return InvalidArgument("entry ID is empty");
  if (id.size() > kEntryIdBytesMax) {
    return InvalidArgument("entry ID has " + std::to_string(id.size()) + " bytes, more than the " +
                           std::to_string(kEntryIdBytesMax) + " allowed");
  }
  for (char c : id) {
    if (kEntryIdChars[static_cast<unsigned char>(c)]) continue;
    return InvalidArgument("entry ID \"" + Printable(id) + "\" has the character \"" +
                           Printable(std::string_view(&c, 1)) +
                           "\": only letters, digits, dashes, underscores and dots are allowed");
  }
  return OkStatus();
}

}  // namespace writ
