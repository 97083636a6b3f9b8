// SPDX-License-Identifier: Apache-2.0
//
// SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7) of the key families that Writ knows, taken apart
// and put together. Inside core/crypto only; others use PublicKey.
//
// Trust: ParseSpki takes hostile bytes; it does not check that a point lies on its curve.
// Threads: free functions. Lifetime: the parts borrow from the DER.
#pragma once

#include <string>
#include <string_view>

#include "core/base/status.h"
#include "core/crypto/key.h"

namespace writ {

struct SpkiParts {
  KeyFamily family;
  std::string_view key_bits;  // the subjectPublicKey's bytes, whole; an EC point is 04 || x || y
  std::string_view modulus;   // RSA alone, without leading zeros
  std::string_view exponent;
};

// EC alone: how a curve is named and how many bytes a coordinate has.
struct CurveFacts {
  KeyFamily family;
  std::string_view oid;
  const char* openssl_name;
  std::string_view jwk_name;
  size_t coordinate_bytes;
};
const CurveFacts* FindCurve(KeyFamily family);  // null pointer when not EC
const CurveFacts* FindCurveByJwkName(std::string_view name);

Result<SpkiParts> ParseSpki(std::string_view der);
std::string MakeEcSpki(const CurveFacts& curve, std::string_view point);
std::string MakeRsaSpki(std::string_view modulus, std::string_view exponent);

}  // namespace writ
