// SPDX-License-Identifier: Apache-2.0
#include "core/net/tls.h"

#include <utility>

#include "core/base/mutex.h"
#include "core/net/tls_session.h"

namespace writ {
namespace {

// A context for each generation of the identity; sessions keep theirs alive.
class GenerationalTlsServerConfig final : public TlsServerConfig {
 public:
  GenerationalTlsServerConfig(SslContextPtr context, VerifyPeer verify)
      : verify_(std::move(verify)), context_(std::move(context)) {}

  Status SetIdentity(TlsIdentity identity) override {
    SslContextPtr context = TRY(MakeSslContext(TlsSide::kServer, &identity));
    MutexLock lock(mu_);
    context_ = std::move(context);
    return OkStatus();
  }

  Result<std::unique_ptr<TlsSession>> NewSession(int socket_fd) override {
    SslContextPtr context;
    {
      MutexLock lock(mu_);
      context = context_;
    }
    return TlsSession::Make(TlsSide::kServer, context.get(), socket_fd, verify_);
  }

 private:
  const VerifyPeer verify_;
  Mutex mu_;
  SslContextPtr context_ GUARDED_BY(mu_);
};

}  // namespace

Result<std::shared_ptr<TlsServerConfig>> TlsServerConfig::Make(TlsIdentity identity,
                                                               VerifyPeer verify) {
  SslContextPtr context = TRY(MakeSslContext(TlsSide::kServer, &identity));
  return std::shared_ptr<TlsServerConfig>(
      std::make_shared<GenerationalTlsServerConfig>(std::move(context), std::move(verify)));
}

}  // namespace writ
