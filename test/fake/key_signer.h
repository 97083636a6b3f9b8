// SPDX-License-Identifier: Apache-2.0
//
// KeySigner: a Signer over a key in memory, for tests below core/keys and for tests that want to
// know the private key too.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "core/crypto/key.h"
#include "core/crypto/signer.h"

namespace writ {

class KeySigner final : public Signer {
 public:
  explicit KeySigner(PrivateKey key) : key_(std::move(key)) {}
  explicit KeySigner(KeyType type) : key_(PrivateKey::Generate(type).value()) {}

  const PublicKey& Public() const override { return key_.Public(); }
  Result<std::string> Sign(SignatureScheme scheme, std::string_view message) override {
    return key_.Sign(scheme, message);
  }
  const PrivateKey& key() const { return key_; }

 private:
  const PrivateKey key_;
};

}  // namespace writ
