// SPDX-License-Identifier: Apache-2.0
//
// Backup and restore as an operator asks for them. Each answers with what it did, for people.
//
// Threads: free functions; a backup may run beside a server, a restore may not and finds out.
#pragma once

#include <string>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "server/config.h"

namespace writ {

Result<std::string> BackUp(const ServerConfig& config, const std::string& to);

// What to do about signing keys that the backup names and `data_dir` lacks.
enum class LostKeys { kRefuse, kReplace };

Result<std::string> Restore(const ServerConfig& config, const std::string& from, LostKeys lost_keys,
                            Time now);

}  // namespace writ
