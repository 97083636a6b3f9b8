// SPDX-License-Identifier: Apache-2.0
//
// The moment of the agents' filter by_expires_before, as SPIRE's clients write it and Go's
// time.Parse reads it by the layout "2006-01-02 15:04:05 -0700 -07": seconds may have a fraction,
// an hour one digit, a space company. SPIRE goes by the last of the two offsets, which has no
// minutes; here the first counts, which has.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/base/status.h"

namespace writ {

// Unix seconds, a fraction rounded up: whole seconds lie before the one if they lie before the
// other.
Result<int64_t> ParseExpiresBefore(std::string_view text);

}  // namespace writ
