// SPDX-License-Identifier: Apache-2.0
//
// JWS compact serialization (RFC 7515) with the algorithms that JWT-SVID section 2.1 lists:
// RS256/384/512, ES256/384/512, PS256/384/512. No other `alg` exists here: not `none`, not HMAC,
// not EdDSA.
//
// Trust: ParseJws takes hostile text. Threads: free functions.
#pragma once

#include <string>
#include <string_view>

#include "core/base/json.h"
#include "core/base/status.h"
#include "core/crypto/key.h"
#include "core/crypto/signer.h"

namespace writ {

inline constexpr size_t kJwsBytesMax = 64 << 10;

struct Jws {
  std::string alg;
  std::string kid;  // empty when absent
  std::string typ;  // empty when absent
  Json header;
  Json payload;  // an object
  std::string signing_input;
  std::string signature;  // as on the wire (ES*: r || s)
};

// Parses without verifying. Refuses the JSON serialization, an unknown `alg`, `crit`, and anything
// that is not three base64url parts of JSON objects.
Result<Jws> ParseJws(std::string_view token);

// PermissionDenied when it does not verify; InvalidArgument when `alg` does not fit the key.
Status VerifyJws(const Jws& jws, const PublicKey& key);

// The `alg` a key signs with: ES256, ES384 or ES512 by its curve, RS256 for RSA.
Result<std::string> JwsAlgorithmOf(const PublicKey& key);

// Header {alg, kid, typ} and the payload, signed; an empty kid or typ is left out.
Result<std::string> SignJws(const Json& payload, std::string_view kid, std::string_view typ,
                            Signer& signer);

}  // namespace writ
