// SPDX-License-Identifier: Apache-2.0
#include "attestors/x509pop/proof.h"

#include <gtest/gtest.h>

#include <string>

#include "test/fake/fake_clock.h"
#include "test/fake/key_signer.h"

namespace writ {
namespace {

TEST(PopProofTest, EveryKeyThatProvesIsBelievedAndNoOther) {
  SeededRandom random(7);
  const std::string nonce(kPopNonceBytes, 'n');
  for (KeyType type : {KeyType::kEcP256, KeyType::kEcP384, KeyType::kRsa2048}) {
    KeySigner signer(type);
    KeySigner other(type);
    Result<PopResponse> response = ProvePossession(nonce, signer, random);
    ASSERT_TRUE(response.ok()) << response.status().ToString();
    EXPECT_EQ(response->nonce.size(), kPopNonceBytes);
    EXPECT_TRUE(CheckPossession(nonce, *response, signer.Public()).ok()) << KeyTypeName(type);
    EXPECT_EQ(CheckPossession(nonce, *response, other.Public()).code(), Code::kPermissionDenied);
    std::string another(kPopNonceBytes, 'm');
    EXPECT_EQ(CheckPossession(another, *response, signer.Public()).code(),
              Code::kPermissionDenied);
    response->nonce = another;
    EXPECT_EQ(CheckPossession(nonce, *response, signer.Public()).code(), Code::kPermissionDenied);
  }
}

TEST(PopProofTest, NeverSignsTheServersNonceAlone) {
  SeededRandom random(7);
  KeySigner signer(KeyType::kEcP256);
  const std::string nonce(kPopNonceBytes, 'n');
  PopResponse response = *ProvePossession(nonce, signer, random);
  EXPECT_FALSE(signer.Public()
                   .Verify(SignatureScheme::kEcdsaSha256, nonce, response.signature)
                   .ok());
  EXPECT_NE(ProvePossession(nonce, signer, random)->nonce, response.nonce);
}

}  // namespace
}  // namespace writ
