// SPDX-License-Identifier: Apache-2.0
//
// The user and groups of a process, from /proc/<pid>/status.
//
// Trust: the kernel writes the file, but a process chooses its own name in it; the line that begins
// with a key is the kernel's (newlines in names are escaped there). How many groups a process is in
// is its maker's choice, up to 65,536, and each costs a look-up of its name: they are bounded.
// Threads: free functions.
#pragma once

#include <sys/types.h>

#include <compare>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace writ {

inline constexpr size_t kSupplementaryGroupsMax = 1024;

struct ProcessIds {
  uid_t uid;  // effective
  gid_t gid;  // effective
  std::vector<gid_t> groups;  // supplementary, in the kernel's order
  friend auto operator<=>(const ProcessIds&, const ProcessIds&) = default;
};

// The "Uid:", "Gid:" and "Groups:" lines. Internal when one is missing or malformed,
// ResourceExhausted when there are too many groups: a part of them would be a guess.
Result<ProcessIds> ParseProcStatus(std::string_view text);

}  // namespace writ
