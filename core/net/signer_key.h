// SPDX-License-Identifier: Apache-2.0
//
// MakeSignerKey: an EVP_PKEY for TLS whose private operations are a Signer's. OpenSSL sees the
// public half and asks for signatures; there is nothing to export, wherever the key lives.
//
// It is a provider of OpenSSL's with key management and signatures for EC and RSA, in a library
// context of its own: it never serves any other key of the process.
// Threads: thread-safe, as the Signer is.
#pragma once

#include <memory>

#include "core/base/status.h"
#include "core/crypto/openssl.h"
#include "core/crypto/signer.h"

namespace writ {

// The key keeps the Signer alive. InvalidArgument for a key that is neither EC nor RSA.
Result<EvpPkeyPtr> MakeSignerKey(std::shared_ptr<Signer> signer);

}  // namespace writ
