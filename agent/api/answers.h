// SPDX-License-Identifier: Apache-2.0
//
// What the Workload API answers, made of what the cache holds: pure functions, no calls, no
// streams. Everything is in a stable order, so that equal content gives equal answers.
//
// Threads: free functions.
#pragma once

#include <memory>
#include <string>

#include "agent/cache/cache.h"
#include "core/spiffe/id.h"
#include "core/spiffe/svid.h"
#include "spiffe/workload/workload.pb.h"

namespace writ {

// Null: nothing can be said yet (an SVID or the bundle is not here), the caller waits. A first
// answer (`first`) waits for every X.509-SVID; a later one goes on with those that are here, so
// that one entry that the server refuses does not keep the others from rotating.
std::unique_ptr<X509SVIDResponse> MakeX509Svids(const WorkloadUpdate& update, bool first);
std::unique_ptr<X509BundlesResponse> MakeX509Bundles(const WorkloadUpdate& update, bool first);
std::unique_ptr<JWTBundlesResponse> MakeJwtBundles(const WorkloadUpdate& update, bool first);

// The claims of a validated token; `aud` is always a list. Of a token from another trust domain
// only what JWT-SVID itself defines (sub, aud, exp): other domains' private claims mean nothing
// here.
google::protobuf::Struct MakeClaims(const JwtSvid& svid, const TrustDomain& own);

// Equal exactly when the messages are equal (SHA-256 of the one deterministic serialization).
std::string FingerprintOf(const google::protobuf::Message& message);

// Overwrites private keys before the message is freed.
void WipeKeys(X509SVIDResponse& response);
inline void WipeKeys(X509BundlesResponse&) {}
inline void WipeKeys(JWTBundlesResponse&) {}

}  // namespace writ
