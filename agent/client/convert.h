// SPDX-License-Identifier: Apache-2.0
//
// From the server's messages to our values.
//
// Trust: the messages are hostile; InvalidArgument says what is wrong. Threads: free functions.
#pragma once

#include <google/protobuf/repeated_field.h>

#include <string>
#include <vector>

#include "agent/client/server_api.h"
#include "spire/api/types/bundle.pb.h"
#include "spire/api/types/entry.pb.h"
#include "spire/api/types/jwtsvid.pb.h"
#include "spire/api/types/x509svid.pb.h"

namespace writ {

Result<SpiffeId> IdFromProto(const spire::api::types::SPIFFEID& id);
Result<Entry> EntryFromProto(const spire::api::types::Entry& entry, const TrustDomain& td);
// An authority that we cannot use (a weak key, an unknown curve) is left out, so that it cannot
// keep the agent from all others; `left_out` gets why. At least one X.509 authority remains.
Result<Bundle> BundleFromProto(const spire::api::types::Bundle& bundle, const TrustDomain& td,
                               std::vector<std::string>* left_out = nullptr);
// At least a leaf.
Result<CertificateChain> ChainFromProto(const spire::api::types::X509SVID& svid);
// A token whose subject is `id` and whose audience holds all of `audience`. Times are the claims'.
Result<ReceivedJwt> JwtFromProto(const spire::api::types::JWTSVID& svid, const SpiffeId& id,
                                 const std::vector<std::string>& audience);

}  // namespace writ
