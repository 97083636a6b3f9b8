// SPDX-License-Identifier: Apache-2.0
//
// The messages of x509pop as SPIRE has them: JSON, bytes in padded base64.
//   payload    {"certificates": [leaf, intermediate, ...]}
//   challenge  {"rsa_signature": {"nonce"}, "ecdsa_signature": null}, or the other way round
//   response   {"rsa_signature": {"nonce", "signature"}},
//              or {"ecdsa_signature": {"nonce", "r", "s"}}
//
// Trust: the readers take hostile text. Members that are not known are passed over.
// Threads: free functions and values.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/crypto/key.h"

namespace writ {

inline constexpr size_t kPopNonceBytes = 32;

// Which of the two proofs a conversation is about; the leaf's key says.
enum class PopProof { kRsa, kEcdsa };
// InvalidArgument for a key of another family.
Result<PopProof> PopProofOf(const PublicKey& key);

struct PopResponse {
  std::string nonce;
  std::string signature;  // RSA as it is, ECDSA in DER
};

std::string WritePopPayload(const std::vector<std::string>& certificates_der);
// At least one certificate and at most `certificates_max`; none of them is parsed.
Result<std::vector<std::string>> ReadPopPayload(std::string_view text, size_t certificates_max);

std::string WritePopChallenge(PopProof proof, std::string_view nonce);
// The nonce. InvalidArgument when the challenge is of the other proof.
Result<std::string> ReadPopChallenge(PopProof proof, std::string_view text);

Result<std::string> WritePopResponse(PopProof proof, const PopResponse& response);
// PermissionDenied when it lacks what this proof is made of.
Result<PopResponse> ReadPopResponse(PopProof proof, std::string_view text);

}  // namespace writ
