// SPDX-License-Identifier: Apache-2.0
//
// The CA certificate of a self-signed X.509 authority. Threads: free functions.
#pragma once

#include "core/base/clock.h"
#include "core/base/random.h"
#include "core/base/status.h"
#include "core/crypto/signer.h"
#include "core/crypto/x509.h"
#include "core/spiffe/id.h"

namespace writ {

struct X509CaTemplate {
  TrustDomain trust_domain;
  Subject subject;  // gets the serial number attribute, so that each CA's name is unique
  Time issued_at;   // whole seconds; NotBefore is 10 s earlier
  Duration ttl;
};

// Signed by its own key, parsed back and verified before it is returned.
Result<Certificate> MakeX509Ca(const X509CaTemplate& ca, Signer& signer, Random& random);

// What every CA certificate must be before it signs, new or read from the journal: an authority of
// the trust domain over this very key.
Status CheckX509Ca(const Certificate& certificate, const TrustDomain& td, const PublicKey& key);

}  // namespace writ
