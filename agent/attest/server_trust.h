// SPDX-License-Identifier: Apache-2.0
//
// ServerTrust: the bundle that this agent trusts now, and the judgement, by it, of whoever answers
// at the server's address: the chain verifies against the bundle and is of /spire/server of the
// trust domain.
//
// Trust: the chain is hostile. Threads: thread-safe.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/crypto/x509.h"
#include "core/spiffe/bundle.h"
#include "core/spiffe/id.h"

namespace writ {

using ServerChain = std::vector<Certificate>;

// The judgement itself: OK when `chain` is the server's, by `bundle`, at `now`.
Status VerifyServer(const ServerChain& chain, const Bundle& bundle, Time now);

class ServerTrust {
 public:
  ServerTrust(TrustDomain td, Clock* clock, Log* log)
      : td_(std::move(td)), clock_(clock), log_(log) {}

  Status Verify(const ServerChain& chain) EXCLUDES(mu_);

  std::shared_ptr<const Bundle> bundle() const EXCLUDES(mu_);  // null before bootstrap
  void SetBundle(Bundle bundle) EXCLUDES(mu_);
  // Insecure bootstrap, while there is no bundle: whoever says that it is the server is believed.
  void AllowUnverified(bool allow) EXCLUDES(mu_);
  // The last chain that the bundle did not verify, once.
  std::optional<ServerChain> TakeRefused() EXCLUDES(mu_);

 private:
  const TrustDomain td_;  // constant after construction, as are the next two
  Clock* const clock_;
  Log* const log_;
  mutable Mutex mu_;
  std::shared_ptr<const Bundle> bundle_ GUARDED_BY(mu_);
  bool allow_unverified_ GUARDED_BY(mu_) = false;
  std::optional<ServerChain> refused_ GUARDED_BY(mu_);
};

}  // namespace writ
