// SPDX-License-Identifier: Apache-2.0
//
// Bytes as text: hex, base64 and base64url. Bytes themselves are std::string (owned) and
// std::string_view (borrowed) everywhere in Writ, as in protobuf: nothing is copied between.
//
// Trust: decoders take hostile input and are strict: one spelling for each value.
#pragma once

#include <string>
#include <string_view>

#include "core/base/status.h"

namespace writ {

std::string HexEncode(std::string_view bytes);  // lower case
Result<std::string> HexDecode(std::string_view text);  // either case, even length

// RFC 4648 section 4, padded, no line breaks.
std::string Base64Encode(std::string_view bytes);
Result<std::string> Base64Decode(std::string_view text);

// RFC 4648 section 5 without padding, as JOSE uses it; trailing bits must be zero.
std::string Base64UrlEncode(std::string_view bytes);
Result<std::string> Base64UrlDecode(std::string_view text);

// Text from others, safe for a terminal: control bytes, non-ASCII and backslashes are escaped, more
// than `length_max` bytes are cut with a mark.
std::string Printable(std::string_view text, size_t length_max = 256);

// Well-formed UTF-8: shortest forms, no surrogates.
bool IsUtf8(std::string_view bytes);

}  // namespace writ
