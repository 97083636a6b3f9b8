// SPDX-License-Identifier: Apache-2.0
//
// ECDSA signatures as their two numbers, for formats that do not carry them in DER (RFC 3279) as
// everything in here does: JWS, x509pop.
//
// Trust: both take hostile bytes. Threads: free functions.
#pragma once

#include <string>
#include <string_view>

#include "core/base/status.h"

namespace writ {

// Big endian, without leading zeros.
struct EcdsaNumbers {
  std::string r;
  std::string s;
};
Result<EcdsaNumbers> EcdsaFromDer(std::string_view der);
// Leading zeros are dropped.
std::string EcdsaToDer(std::string_view r, std::string_view s);

}  // namespace writ
