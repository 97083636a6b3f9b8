// SPDX-License-Identifier: Apache-2.0
//
// The user and groups of a process, from /proc/<pid>/status.
//
// Trust: the kernel writes the file, but a process chooses its own name in it; the line that begins
// with a key is the kernel's (newlines in names are escaped there). Threads: free functions.
#pragma once

#include <sys/types.h>

#include <compare>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace writ {

struct ProcessIds {
  uid_t uid;  // effective
  gid_t gid;  // effective
  std::vector<gid_t> groups;  // supplementary, in the kernel's order
  friend auto operator<=>(const ProcessIds&, const ProcessIds&) = default;
};

// The "Uid:", "Gid:" and "Groups:" lines. Internal when one is missing or malformed.
Result<ProcessIds> ParseProcStatus(std::string_view text);

}  // namespace writ
