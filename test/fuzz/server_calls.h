// SPDX-License-Identifier: Apache-2.0
//
// The server's API as a target: a request of any method, to the functions that answer it, over a
// store in memory. Authorization comes before them and is not part of it.
#pragma once

#include <string_view>

namespace writ {

// The first byte says which method, 'a' the first of the table; the rest is the request.
void FuzzServerCall(std::string_view input);
// The same of the streams whose requests follow each other.
void FuzzServerStream(std::string_view input);

}  // namespace writ
