// SPDX-License-Identifier: Apache-2.0
//
// The proof of possession itself: a signature over both sides' nonces, one after the other. RSA
// signs by PSS, ECDSA on whichever curve; both with SHA-256.
//
// Threads: free functions.
#pragma once

#include <string_view>

#include "attestors/x509pop/messages.h"
#include "core/base/random.h"
#include "core/base/status.h"
#include "core/crypto/key.h"
#include "core/crypto/signer.h"

namespace writ {

// Answers the other side's nonce with one of our own and the signature over both.
Result<PopResponse> ProvePossession(std::string_view challenge_nonce, Signer& signer,
                                    Random& random);
// PermissionDenied unless the key has signed both nonces.
Status CheckPossession(std::string_view challenge_nonce, const PopResponse& response,
                       const PublicKey& key);

}  // namespace writ
