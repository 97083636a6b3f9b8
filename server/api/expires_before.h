// SPDX-License-Identifier: Apache-2.0
//
// The moment of the agents' filter by_expires_before, as SPIRE's clients write it (Go's layout
// "2006-01-02 15:04:05 -0700 -07").
#pragma once

#include <cstdint>
#include <string_view>

#include "core/base/status.h"

namespace writ {

// Unix seconds.
Result<int64_t> ParseExpiresBefore(std::string_view text);

}  // namespace writ
