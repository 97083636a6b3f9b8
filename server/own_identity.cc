// SPDX-License-Identifier: Apache-2.0
#include "server/own_identity.h"

#include <algorithm>
#include <span>
#include <utility>

#include "core/base/bytes.h"
#include "core/keys/key_manager.h"
#include "core/spiffe/svid.h"

namespace writ {
namespace {

constexpr Duration kRetryAfter = std::chrono::seconds(5);

const X509Authority* Find(const Bundle& bundle, const std::string& authority_id) {
  auto it = std::find_if(bundle.x509.begin(), bundle.x509.end(), [&](const X509Authority& x509) {
    return HexEncode(x509.certificate.subject_key_id()) == authority_id;
  });
  return it == bundle.x509.end() ? nullptr : &*it;
}

}  // namespace

Result<std::unique_ptr<OwnIdentity>> OwnIdentity::Make(Needs needs) {
  auto identity = std::make_unique<OwnIdentity>(std::move(needs));
  TlsIdentity first = TRY(identity->NewSvid(), "issue the server's own SVID");
  identity->tls_ = TRY(TlsServerConfig::Make(
      std::move(first), [self = identity.get()](const std::vector<Certificate>& chain) {
        return self->VerifyClient(chain);
      }));
  return identity;
}

Result<TlsIdentity> OwnIdentity::NewSvid() {
  PrivateKey key = TRY(PrivateKey::Generate(KeyType::kEcP256));
  X509Request request{.id = ServerId(needs_.trust_domain), .key = key.Public()};
  std::vector<Result<IssuedX509>> issued =
      needs_.issuer->IssueX509(std::span(&request, 1), X509Purpose::kServer, "server");
  IssuedX509 svid = TRY(std::move(issued.front()));
  TlsIdentity identity;
  for (const std::string& der : svid.chain) {
    identity.chain.push_back(TRY(Certificate::FromDer(der), "read the server's own SVID"));
  }
  identity.signer = MakeSoftwareSigner(std::move(key));
  signed_by_ = HexEncode(identity.chain.back().authority_key_id());
  {
    MutexLock lock(mu_);
    chain_ = identity.chain;
  }
  Time now = needs_.clock->Now();
  rotate_at_ = now + (svid.not_after - now) / 2;
  return identity;
}

std::vector<Certificate> OwnIdentity::Chain() const {
  MutexLock lock(mu_);
  return chain_;
}

Time OwnIdentity::Step() {
  if (needs_.clock->Now() >= rotate_at_) return Rotate();
  const std::shared_ptr<const Bundle> bundle = needs_.bundle->Current();
  const X509Authority* signed_by = Find(*bundle, signed_by_);
  if (signed_by != nullptr && !signed_by->tainted) return rotate_at_;
  const std::shared_ptr<const X509Ca> ca = needs_.authorities->CurrentX509();
  const X509Authority* signs = Find(*bundle, ca->authority_id);
  if (signs == nullptr || signs->tainted) {
    // The one that signs is no better: another has to be activated first.
    if (!std::exchange(waits_, true)) {
      needs_.log->Error("the X.509 authority that signs is tainted or gone from the bundle",
                        {{"authority_id", ca->authority_id}});
    }
    return needs_.clock->Now() + kRetryAfter;
  }
  const Time known_everywhere = ca->active_since + kBundleSettles;
  if (signed_by != nullptr && needs_.clock->Now() < known_everywhere) {
    return std::min(known_everywhere, rotate_at_);
  }
  waits_ = false;
  needs_.log->Warn("the authority of the server's own SVID is tainted or gone from the bundle",
                   {{"authority_id", signed_by_}});
  return Rotate();
}

Time OwnIdentity::Rotate() {
  Result<TlsIdentity> identity = NewSvid();
  Status status = identity.ok() ? tls_->SetIdentity(std::move(*identity)) : identity.status();
  if (status.ok()) {
    needs_.log->Info("the server's own SVID was renewed", {{"next_at", FormatTime(rotate_at_)}});
    return rotate_at_;
  }
  needs_.log->Error("cannot renew the server's own SVID, will try again", {{"error", status}});
  return needs_.clock->Now() + kRetryAfter;
}

Status OwnIdentity::VerifyClient(const std::vector<Certificate>& chain) const {
  std::shared_ptr<const Bundle> bundle = needs_.bundle->Current();
  TRY(VerifyX509Svid(chain, std::span(bundle.get(), 1), needs_.clock->Now()));
  return OkStatus();
}

}  // namespace writ
