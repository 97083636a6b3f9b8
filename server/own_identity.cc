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

// Whether the bundle holds the authority, untainted.
bool Vouches(const Bundle& bundle, const std::string& authority_id) {
  return std::any_of(bundle.x509.begin(), bundle.x509.end(), [&](const X509Authority& authority) {
    return !authority.tainted && HexEncode(authority.certificate.subject_key_id()) == authority_id;
  });
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
  if (Vouches(*bundle, signed_by_)) return rotate_at_;
  if (Vouches(*bundle, needs_.authorities->CurrentX509()->authority_id)) {
    waits_ = false;
    needs_.log->Warn("the authority of the server's own SVID is tainted or gone from the bundle",
                     {{"authority_id", signed_by_}});
    return Rotate();
  }
  // The one that signs is no better: another has to be activated first.
  if (!std::exchange(waits_, true)) {
    needs_.log->Error("the X.509 authority that signs is tainted or gone from the bundle",
                      {{"authority_id", signed_by_}});
  }
  return needs_.clock->Now() + kRetryAfter;
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
