// SPDX-License-Identifier: Apache-2.0
#include "core/spiffe/entry.h"

#include <algorithm>

#include "core/base/bytes.h"

namespace writ {

bool Entry::ForNodes() const {
  return std::ranges::any_of(selectors,
                             [](const Selector& selector) { return selector.type == "spiffe_id"; });
}

Status ValidateEntryId(std::string_view id) {
  if (id.empty()) return InvalidArgument("entry ID is empty");
  if (id.size() > kEntryIdBytesMax) {
    return InvalidArgument("entry ID has " + std::to_string(id.size()) +
                           " bytes, more than the " + std::to_string(kEntryIdBytesMax) +
                           " allowed");
  }
  for (char c : id) {
    bool allowed = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                   c == '-' || c == '_' || c == '.';
    if (allowed) continue;
    return InvalidArgument("entry ID \"" + Printable(id) + "\" has the character \"" +
                           Printable(std::string_view(&c, 1)) +
                           "\": only letters, digits, dashes, underscores and dots are allowed");
  }
  return OkStatus();
}

}  // namespace writ
