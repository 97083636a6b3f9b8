// SPDX-License-Identifier: Apache-2.0
//
// SIGNED (RFC 5280 section 4.1.1): the shape that certificates and signing requests share: what is
// signed, the algorithm, the signature. Inside core/crypto only.
//
// Trust: ParseSigned takes hostile bytes and verifies nothing. Threads: free functions.
// Lifetime: the parts borrow from the DER.
#pragma once

#include <string>
#include <string_view>

#include "core/base/status.h"
#include "core/crypto/signer.h"

namespace writ {

struct SignedParts {
  std::string_view to_be_signed;  // a whole SEQUENCE, as are the next
  std::string_view algorithm;
  std::string_view signature;
};
Result<SignedParts> ParseSigned(std::string_view der);

// Signs with the key's default scheme and puts the three together.
Result<std::string> SignDer(std::string_view to_be_signed, Signer& signer);

}  // namespace writ
