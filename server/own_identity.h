// SPDX-License-Identifier: Apache-2.0
//
// OwnIdentity: the server's own X.509-SVID (/spire/server), its key in memory only, made anew at
// half of its life, or sooner when the authority that signed it is tainted or gone, and given to
// the TLS listener, whose next handshake uses it; and the rules by which that listener takes
// clients' certificates: the trust domain's current bundle.
//
// A tainted authority's SVID is still good with everyone, and one of an authority that agents have
// not heard of would lock them out: it is renewed when the new one has been in the bundle for long
// enough. An SVID whose authority is gone is good with nobody: it is renewed at once.
//
// Threads: Step() by one loop; the rest thread-safe.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/net/tls.h"
#include "server/bundle/bundle_holder.h"
#include "server/issue/issuer.h"

namespace writ {

class OwnIdentity {
 public:
  struct Needs {
    TrustDomain trust_domain;
    Issuer* issuer;  // all borrowed
    const Authorities* authorities;
    const BundleHolder* bundle;
    Clock* clock;
    Log* log;
  };
  // With its first SVID.
  static Result<std::unique_ptr<OwnIdentity>> Make(Needs needs);

  // To be called by Make() only.
  explicit OwnIdentity(Needs needs) : needs_(std::move(needs)) {}

  std::shared_ptr<TlsServerConfig> tls() const { return tls_; }
  // When the SVID has half of its life behind it.
  Time RotateAt() const { return rotate_at_; }
  // A new key and SVID when it is time, or when the bundle has changed so that peers shall not rely
  // on this one; when to look again. A failure is logged and retried soon.
  Time Step();
  // What is presented, leaf first.
  std::vector<Certificate> Chain() const EXCLUDES(mu_);
  // Whether a client's chain is good at this moment.
  Status VerifyClient(const std::vector<Certificate>& chain) const;

 private:
  Result<TlsIdentity> NewSvid();
  Time Rotate();

  const Needs needs_;
  std::shared_ptr<TlsServerConfig> tls_;  // constant after Make()
  Time rotate_at_;                        // of the loop alone after Make()
  std::string signed_by_;                 // the authority's ID; of the loop alone after Make()
  bool waits_ = false;                    // for another authority; likewise
  mutable Mutex mu_;
  std::vector<Certificate> chain_ GUARDED_BY(mu_);
};

}  // namespace writ
