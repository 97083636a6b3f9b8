// SPDX-License-Identifier: Apache-2.0
//
// The process's environment, read in one place and passed on as a value.
#pragma once

#include <map>
#include <string>

namespace writ {

using Environment = std::map<std::string, std::string>;

// A copy of what the process was started with.
Environment ProcessEnvironment();

}  // namespace writ
