// SPDX-License-Identifier: Apache-2.0
//
// Bundle: a trust domain's authorities, and the two documents made of it: the SPIFFE bundle
// (SPIFFE Trust Domain and Bundle, section 4) and the plain JWKS of the Workload API.
//
// Trust: the parsers take hostile text. Threads: a value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/crypto/key.h"
#include "core/crypto/x509.h"
#include "core/spiffe/id.h"

namespace writ {

struct X509Authority {
  Certificate certificate;
  bool tainted = false;
  friend bool operator==(const X509Authority&, const X509Authority&) = default;
};

struct JwtAuthority {
  std::string key_id;
  PublicKey key;
  int64_t expires_at = 0;  // Unix seconds; 0: not known
  bool tainted = false;
  friend bool operator==(const JwtAuthority&, const JwtAuthority&) = default;
};

struct Bundle {
  TrustDomain trust_domain;
  std::vector<X509Authority> x509;  // in the order in which they were added
  std::vector<JwtAuthority> jwt;    // likewise
  uint64_t sequence_number = 0;     // grows with each change
  int64_t refresh_hint_seconds = 0;
  friend bool operator==(const Bundle&, const Bundle&) = default;

  std::vector<Certificate> X509Roots() const;
  const JwtAuthority* FindJwt(std::string_view key_id) const;
  // All X.509 authorities' DER, concatenated: the Workload API's form.
  std::string X509Der() const;
};

// The SPIFFE JSON document. Order is stable; tainted authorities are in it until they are revoked.
std::string ToSpiffeJson(const Bundle& bundle, bool pretty = false);
// Keys of unknown use are passed over (section 4.2.2); a broken key is an error.
Result<Bundle> FromSpiffeJson(const TrustDomain& td, std::string_view text);

// Plain JWKS {"keys":[{kty, kid, ...}]}: no `use`, no `spiffe_*` members.
std::string ToWorkloadJwks(const Bundle& bundle);
Result<std::vector<JwtAuthority>> FromWorkloadJwks(std::string_view text);

std::string ToPem(const Bundle& bundle);
// PEM certificates or SPIFFE JSON, told apart by the first character that is no space.
Result<Bundle> ParseBundleFile(const TrustDomain& td, std::string_view text);

}  // namespace writ
