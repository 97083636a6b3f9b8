// SPDX-License-Identifier: Apache-2.0
//
// OpenSSL's digest algorithms, fetched once. Inside core/crypto only.
// Threads: thread-safe. Lifetime: the process's.
#pragma once

#include <openssl/types.h>

namespace writ {

struct DigestAlgorithms {
  EVP_MD* sha1;
  EVP_MD* sha256;
  EVP_MD* sha384;
  EVP_MD* sha512;
};

const DigestAlgorithms& FetchedDigests();

}  // namespace writ
