// SPDX-License-Identifier: Apache-2.0
//
// Golden files: what people see, checked in and compared whole. With WRIT_UPDATE_GOLDEN=1 in the
// environment a test writes what it got instead, for a look at the difference before the commit.
#pragma once

#include <string>
#include <string_view>

namespace writ {

// `relative` is the file's path in the source tree.
void ExpectGolden(const std::string& relative, std::string_view text);

// The same for the part of a Markdown file between the comments "<!-- begin NAME -->" and
// "<!-- end NAME -->", each on a line of its own.
void ExpectGoldenSection(const std::string& relative, const std::string& name,
                         std::string_view text);

}  // namespace writ
