// SPDX-License-Identifier: Apache-2.0
#include "agent/attest/server_trust.h"

#include <span>
#include <utility>

#include "core/spiffe/svid.h"

namespace writ {
namespace {

Status CheckServerId(const ServerChain& chain, const TrustDomain& td) {
  if (chain.empty()) return Unauthenticated("the server presented no certificate");
  Result<SpiffeId> id = CheckX509Leaf(chain.front());
  if (!id.ok()) {
    return Unauthenticated(id.status().message()).Annotate("the server's certificate");
  }
  if (*id == ServerId(td)) return OkStatus();
  return Unauthenticated("expected a server with ID " + ServerId(td).text() + ", got " +
                         id->text());
}

}  // namespace

Status VerifyServer(const ServerChain& chain, const Bundle& bundle, Time now) {
  TRY(CheckServerId(chain, bundle.trust_domain));
  Result<VerifiedX509Svid> verified =
      VerifyX509Svid(chain, std::span<const Bundle>(&bundle, 1), now);
  if (verified.ok()) return OkStatus();
  return Unauthenticated(verified.status().message())
      .Annotate("the trust bundle does not verify the server's certificate");
}

Status ServerTrust::Verify(const ServerChain& chain) {
  std::shared_ptr<const Bundle> bundle;
  bool allow_unverified = false;
  {
    MutexLock lock(mu_);
    bundle = bundle_;
    allow_unverified = allow_unverified_;
  }
  if (bundle) {
    Status status = VerifyServer(chain, *bundle, clock_->Now());
    if (!status.ok()) {
      MutexLock lock(mu_);
      refused_ = chain;
    }
    return status;
  }
  if (!allow_unverified) {
    return Unauthenticated("there is no trust bundle yet to verify the server with");
  }
  TRY(CheckServerId(chain, td_));
  log_->Warn(
      "INSECURE BOOTSTRAP: the server is believed without verification, because "
      "server.insecure_bootstrap is set; whoever can stand between can impersonate it",
      {{"trust_domain", td_.name()}});
  return OkStatus();
}

std::shared_ptr<const Bundle> ServerTrust::bundle() const {
  MutexLock lock(mu_);
  return bundle_;
}

void ServerTrust::SetBundle(Bundle bundle) {
  auto shared = std::make_shared<const Bundle>(std::move(bundle));
  MutexLock lock(mu_);
  bundle_ = std::move(shared);
  refused_.reset();
}

void ServerTrust::AllowUnverified(bool allow) {
  MutexLock lock(mu_);
  allow_unverified_ = allow;
}

std::optional<ServerChain> ServerTrust::TakeRefused() {
  MutexLock lock(mu_);
  return std::exchange(refused_, std::nullopt);
}

}  // namespace writ
