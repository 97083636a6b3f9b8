// SPDX-License-Identifier: Apache-2.0
#include "attestors/x509pop/proof.h"

#include <string>

namespace writ {
namespace {

constexpr SignatureScheme SchemeOf(PopProof proof) {
  return proof == PopProof::kRsa ? SignatureScheme::kRsaPssSha256 : SignatureScheme::kEcdsaSha256;
}

std::string BothNonces(std::string_view challenge_nonce, std::string_view response_nonce) {
  return std::string(challenge_nonce).append(response_nonce);
}

}  // namespace

Result<PopResponse> ProvePossession(std::string_view challenge_nonce, Signer& signer,
                                    Random& random) {
  PopProof proof = TRY(PopProofOf(signer.Public()));
  PopResponse response{.nonce = random.Bytes(kPopNonceBytes)};
  response.signature =
      TRY(signer.Sign(SchemeOf(proof), BothNonces(challenge_nonce, response.nonce)),
          "sign the challenge");
  return response;
}

Status CheckPossession(std::string_view challenge_nonce, const PopResponse& response,
                       const PublicKey& key) {
  PopProof proof = TRY(PopProofOf(key));
  const std::string message = BothNonces(challenge_nonce, response.nonce);
  return proof == PopProof::kRsa ? key.VerifyPssOfAnySalt(message, response.signature)
                                 : key.Verify(SchemeOf(proof), message, response.signature);
}

}  // namespace writ
