// SPDX-License-Identifier: Apache-2.0
//
// Signer: a private key that signs and says its public half. Its bytes may be anywhere (this
// process, a TPM, a token) and are never asked for. It stands here, below core/keys, because
// certificates, CSRs and tokens are made with one; core/keys makes and keeps them.
//
// Threads: thread-safe; one Signer may serve many threads at once.
#pragma once

#include <string>
#include <string_view>

#include "core/base/status.h"
#include "core/crypto/key.h"

namespace writ {

class Signer {
 public:
  virtual ~Signer() = default;
  virtual const PublicKey& Public() const = 0;
  // Signs `message` (not its digest). ECDSA answers in DER (RFC 3279), RSA as RFC 8017 has it.
  // InvalidArgument when the scheme does not fit the key.
  virtual Result<std::string> Sign(SignatureScheme scheme, std::string_view message) = 0;
};

}  // namespace writ
