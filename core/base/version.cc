// SPDX-License-Identifier: Apache-2.0
#include "core/base/version.h"

namespace writ {

std::string_view Version() { return WRIT_VERSION; }

}  // namespace writ
