// SPDX-License-Identifier: Apache-2.0
#include "server/own_identity.h"

#include <span>
#include <utility>

#include "core/keys/key_manager.h"
#include "core/spiffe/svid.h"

namespace writ {
namespace {

constexpr Duration kRetryAfter = std::chrono::seconds(5);

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
  Time now = needs_.clock->Now();
  rotate_at_ = now + (svid.not_after - now) / 2;
  return identity;
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
