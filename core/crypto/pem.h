// SPDX-License-Identifier: Apache-2.0
//
// PEM (RFC 7468): labelled blocks of base64, text between them passed over.
//
// Trust: PemDecode takes hostile text. Threads: free functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace writ {

inline constexpr std::string_view kPemCertificate = "CERTIFICATE";
inline constexpr std::string_view kPemPrivateKey = "PRIVATE KEY";  // PKCS#8

struct PemBlock {
  std::string label;
  std::string bytes;  // of a private key: make a Secret of it at once
};

// InvalidArgument names the line. A text without blocks gives none.
Result<std::vector<PemBlock>> PemDecode(std::string_view text);
std::string PemEncode(std::string_view label, std::string_view bytes);

}  // namespace writ
