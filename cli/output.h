// SPDX-License-Identifier: Apache-2.0
//
// What people and machines read: aligned tables, field lists and JSON.
#pragma once

#include <iosfwd>
#include <string>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/json.h"

namespace writ {

// Columns as wide as their widest cell; control bytes from others are escaped.
void PrintTable(std::ostream& out, const std::vector<std::string>& header,
                const std::vector<std::vector<std::string>>& rows);
// "Name:   value" lines; rows with an empty value are left out.
void PrintFields(std::ostream& out,
                 const std::vector<std::pair<std::string, std::string>>& fields);
void PrintJson(std::ostream& out, const Json& value);

std::string Joined(const std::vector<std::string>& parts, const std::string& separator = ", ");
// "2026-01-31T12:00:00Z (in 59m)", "... (3h ago)", or "never" for 0.
std::string TimeText(int64_t unix_seconds, Time now);
// "1h", or "default" for 0.
std::string TtlText(int64_t seconds);

}  // namespace writ
