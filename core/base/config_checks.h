// SPDX-License-Identifier: Apache-2.0
//
// What the text of a setting must look like, for SettingRule::check. Each answers with a sentence
// that follows the setting's name: "must be an absolute path, and is `x`".
#pragma once

#include <functional>
#include <string_view>

#include "core/base/status.h"

namespace writ {

inline constexpr size_t kSocketPathBytesMax = 107;  // sun_path less its NUL

using TextCheck = std::function<Status(std::string_view)>;

// Accepts the empty text, and asks `check` about any other.
TextCheck EmptyOr(TextCheck check);

// Begins with '/', has no "." or ".." segment, ends in a name.
Status CheckAbsolutePath(std::string_view text);
// Such a path, short enough for a Unix socket.
Status CheckSocketPath(std::string_view text);
// "host:port", "1.2.3.4:80", "[::1]:80"; port 0 to 65535.
Status CheckListenAddress(std::string_view text);
// The same with a host that is not empty and a port that is not 0.
Status CheckServerAddress(std::string_view text);
// "https://host[:port][/path]" without user info or fragment.
Status CheckHttpsUrl(std::string_view text);
// 64 hex digits in lower case.
Status CheckSha256(std::string_view text);

}  // namespace writ
