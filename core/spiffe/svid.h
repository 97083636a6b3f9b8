// SPDX-License-Identifier: Apache-2.0
//
// SVIDs as a receiver sees them: parsing and validation of X509-SVIDs (X509-SVID sections 2 to 5)
// and JWT-SVIDs (JWT-SVID sections 2 to 5). Making them is the server's Issuer's work, with
// core/crypto's writers.
//
// Trust: every input is hostile. Threads: free functions and values.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/status.h"
#include "core/crypto/x509.h"
#include "core/spiffe/bundle.h"
#include "core/spiffe/id.h"

namespace writ {

// The SPIFFE ID of a certificate: exactly one URI SAN and it parses. Here and below, URIs of the
// scheme `beside` may stand with it where one is given; no other ever may.
Result<SpiffeId> SpiffeIdOf(const Certificate& certificate, std::string_view beside = {});

inline constexpr size_t kX509ChainMax = 20;  // certificates

// The leaf rules of X509-SVID: one URI SAN, an ID with a path, not a CA, digitalSignature set,
// keyCertSign and cRLSign not set. Returns its ID.
Result<SpiffeId> CheckX509Leaf(const Certificate& leaf, std::string_view beside = {});
// The rules of a signing certificate (sections 2, 4.2, 4.3): CA, keyCertSign; its ID, when it has
// one, has no path and is in `td`.
Status CheckX509Authority(const Certificate& certificate, const TrustDomain& td);

struct VerifiedX509Svid {
  SpiffeId id;
  std::vector<Certificate> path;  // leaf first, root last
};
// The chain of an X509-SVID, leaf first, against its trust domain's bundle at `now`: the leaf
// rules, path validation, and the rules of a signing certificate for each one above the leaf (a
// root without any key usage extension is taken, as RFC 5280 has it for trust anchors).
// `bundles`: the leaf's trust domain picks the bundle; NotFound when none is for it.
Result<VerifiedX509Svid> VerifyX509Svid(std::span<const Certificate> chain,
                                        std::span<const Bundle> bundles, Time now,
                                        std::string_view beside = {});

struct JwtSvid {
  SpiffeId id;
  std::vector<std::string> audience;  // always as a list
  Time expires_at;
  Time issued_at;  // the epoch when the claim is absent
  std::string kid;
  Json claims;     // the payload, whole
  std::string token;
};

inline constexpr Duration kJwtSkew = std::chrono::seconds(60);  // on exp, nbf and iat, as in SPIRE

// Parses and checks everything but the signature: for a client's own token.
Result<JwtSvid> ParseJwtSvidInsecure(std::string_view token);
// Full validation at `now` for `audience`. InvalidArgument says which rule failed.
Result<JwtSvid> ValidateJwtSvid(std::string_view token, std::string_view audience,
                                std::span<const Bundle> bundles, Time now);

}  // namespace writ
