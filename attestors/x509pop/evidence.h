// SPDX-License-Identifier: Apache-2.0
//
// What a verified certificate says about its node: the facts for the agent's path, the selectors,
// and whether it names the address that the node calls from.
//
// Trust: the certificate is vouched for by its issuer; its text may still hold anything.
// Threads: free functions.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>

#include "attestors/x509pop/path_template.h"
#include "core/base/status.h"
#include "core/crypto/x509.h"
#include "core/spiffe/id.h"
#include "core/spiffe/selector.h"

namespace writ {

// Of the URI SANs that make selectors.
inline constexpr std::string_view kSanScheme = "x509pop";

// Key and value of each URI SAN x509pop://<trust domain>/<key>/<value>; of two with one key the
// later counts. One without a value is passed over.
Result<std::map<std::string, std::string, std::less<>>> SanSelectorsOf(const Certificate& leaf,
                                                                       const TrustDomain& td);

// `svid_path_trimmed` is the part of an SVID's path that is exchanged, or empty.
Result<PathFacts> PathFactsOf(const Certificate& leaf, const TrustDomain& td,
                              std::string_view svid_path_trimmed);

// `authorities`: the certificates above the leaf.
Result<Selectors> PopSelectorsOf(const Certificate& leaf,
                                 std::span<const Certificate> authorities, const PathFacts& facts);

// PermissionDenied unless one of the leaf's IP SANs is `address`; Internal when that is no address.
Status CheckClientAddress(const Certificate& leaf, const std::string& address);

}  // namespace writ
