// SPDX-License-Identifier: Apache-2.0
//
// The version of this build, the same for all three programs.
#pragma once

#include <string_view>

namespace writ {

std::string_view Version();  // "0.1.0"

}  // namespace writ
