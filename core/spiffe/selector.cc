// SPDX-License-Identifier: Apache-2.0
#include "core/spiffe/selector.h"

#include <algorithm>

#include "core/base/bytes.h"

namespace writ {

Result<Selector> Selector::Parse(std::string_view text) {
  size_t colon = text.find(':');
  if (colon == std::string_view::npos) {
    return InvalidArgument("selector \"" + Printable(text) +
                           "\" has no colon: expected type:value, such as \"unix:uid:1000\"");
  }
  return Make(text.substr(0, colon), text.substr(colon + 1));
}

Result<Selector> Selector::Make(std::string_view type, std::string_view value) {
  if (type.empty()) return InvalidArgument("missing selector type: expected type:value");
  if (type.find(':') != std::string_view::npos) {
    return InvalidArgument("selector type contains ':': \"" + Printable(type) + "\"");
  }
  if (value.empty()) {
    return InvalidArgument("missing selector value for the type \"" + Printable(type) + "\"");
  }
  if (type.size() + 1 + value.size() > kSelectorBytesMax) {
    return InvalidArgument("selector of the type \"" + Printable(type) + "\" has more than " +
                           std::to_string(kSelectorBytesMax) + " bytes");
  }
  return Selector{std::string(type), std::string(value)};
}

Selectors::Selectors(std::vector<Selector> selectors) : sorted_(std::move(selectors)) {
  std::sort(sorted_.begin(), sorted_.end());
  sorted_.erase(std::unique(sorted_.begin(), sorted_.end()), sorted_.end());
}

bool Selectors::Contains(const Selector& selector) const {
  return std::binary_search(sorted_.begin(), sorted_.end(), selector);
}

bool Selectors::ContainsAll(const Selectors& subset) const {
  return std::includes(sorted_.begin(), sorted_.end(), subset.begin(), subset.end());
}

void Selectors::Insert(Selector selector) {
  auto at = std::lower_bound(sorted_.begin(), sorted_.end(), selector);
  if (at == sorted_.end() || *at != selector) sorted_.insert(at, std::move(selector));
}

}  // namespace writ
