// SPDX-License-Identifier: Apache-2.0
//
// What a SignatureScheme is: its digest, its padding, which keys fit, and its X.509
// AlgorithmIdentifier (RFC 4055, RFC 5758, RFC 8410). Inside core/crypto only.
//
// Trust: SchemeOfAlgorithm takes hostile bytes. Threads: free functions.
#pragma once

#include <openssl/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "core/base/status.h"
#include "core/crypto/key.h"

namespace writ {

enum class SignatureKind { kEcdsa, kRsaPkcs1, kRsaPss, kEd25519 };

struct SchemeFacts {
  SignatureScheme scheme;
  SignatureKind kind;
  int digest_bits;  // 0 for Ed25519, which takes the message itself
  std::string_view name;
};
const SchemeFacts& FactsOf(SignatureScheme scheme);
EVP_MD* DigestOf(const SchemeFacts& facts);  // borrowed; null pointer for Ed25519

// InvalidArgument names both when a key of this family cannot make such signatures.
Status CheckSchemeFits(SignatureScheme scheme, const PublicKey& key);

// A whole AlgorithmIdentifier; written with NULL parameters where RFC 4055 wants them.
const std::string& AlgorithmOfScheme(SignatureScheme scheme);
// Nothing for one that is not known here (SHA-1 among them).
std::optional<SignatureScheme> SchemeOfAlgorithm(std::string_view algorithm_der);

// Prepares an initialized context for signing or verifying a digest: RSA's padding and salt.
bool ConfigureSignature(EVP_PKEY_CTX* context, const SchemeFacts& facts);

}  // namespace writ
