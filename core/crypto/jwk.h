// SPDX-License-Identifier: Apache-2.0
//
// Public keys as JSON Web Keys (RFC 7517, RFC 7518 section 6): EC P-256/384/521 and RSA.
// Trust: FromJwk takes hostile JSON. Threads: free functions.
#pragma once

#include "core/base/json.h"
#include "core/base/status.h"
#include "core/crypto/key.h"

namespace writ {

// Members kty, crv/x/y or n/e, in that order.
Result<Json> ToJwk(const PublicKey& key);
Result<PublicKey> FromJwk(const Json& jwk);
// RFC 7638, base64url of SHA-256.
Result<std::string> JwkThumbprint(const PublicKey& key);

}  // namespace writ
