// SPDX-License-Identifier: Apache-2.0
//
// PKCS#10 certificate signing requests (RFC 2986): made with any Signer, read by a small strict DER
// reader (OpenSSL's decoder costs more than the signature).
//
// Trust: ParseCsr takes hostile bytes. Threads: free functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/crypto/key.h"
#include "core/crypto/signer.h"
#include "core/crypto/x509.h"

namespace writ {

struct Csr {
  PublicKey key;
  std::string subject_der;  // the DER Name as it stands
  std::string common_name;  // the last CN of the subject, or empty
  std::vector<std::string> uri_sans;
  std::vector<std::string> dns_sans;
};

inline constexpr size_t kCsrBytesMax = 64 << 10;

// How an error begins, for callers who must say it in a protocol's words.
struct CsrTexts {
  std::string_view malformed = "malformed CSR";
  std::string_view forged = "invalid CSR signature";
};

// Parses and verifies the request's own signature. InvalidArgument says what is wrong.
Result<Csr> ParseCsr(std::string_view der, const CsrTexts& texts = {});

struct CsrTemplate {
  Subject subject;
  std::vector<std::string> uri_sans;
  std::vector<std::string> dns_sans;
};
Result<std::string> MakeCsr(const CsrTemplate& request, Signer& signer);

}  // namespace writ
