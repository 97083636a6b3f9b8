// SPDX-License-Identifier: Apache-2.0
#include "agent/client/server_api.h"

#include <algorithm>
#include <span>

#include "core/spiffe/svid.h"

namespace writ {

Denial DenialOf(const Status& status) {
  int reason = status.code() == Code::kPermissionDenied ? status.reason() : 0;
  bool known = reason >= static_cast<int>(Denial::kNone) &&
               reason <= static_cast<int>(Denial::kMustReattest);
  return known ? static_cast<Denial>(reason) : Denial::kNone;
}

Status CheckIssued(const CertificateChain& chain, const SpiffeId& id, const PublicKey& key,
                   const Bundle& bundle, Time now) {
  if (chain.empty()) return InvalidArgument("the server's answer holds no certificate");
  const Certificate& leaf = chain.front();
  if (!(leaf.public_key() == key)) {
    return InvalidArgument("the certificate that came for " + id.text() + " bears another key");
  }
  Time at = std::max(now, leaf.not_before());
  VerifiedX509Svid verified =
      TRY(VerifyX509Svid(chain, std::span<const Bundle>(&bundle, 1), at), "verify " + id.text());
  if (verified.id != id) {
    return InvalidArgument("the certificate is for " + verified.id.text() + ", expected " +
                           id.text());
  }
  return OkStatus();
}

}  // namespace writ
