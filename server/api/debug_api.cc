// SPDX-License-Identifier: Apache-2.0
#include "server/api/debug_api.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/spiffe/id.h"
#include "server/api/convert.h"

namespace writ {
namespace {

constexpr int32_t kBundles = 1;  // the trust domain's own

int32_t Bounded(int64_t count) {
  return static_cast<int32_t>(std::min<int64_t>(count, std::numeric_limits<int32_t>::max()));
}

}  // namespace

Result<debug_pb::GetInfoResponse> DebugApi::GetInfo(Call&, const debug_pb::GetInfoRequest&) {
  MutexLock lock(mu_);
  const MonoTime now = needs_.clock->Monotonic();
  if (!last_ || now - collected_at_ >= kDebugInfoLives) {
    last_ = TRY(Collect(now));
    collected_at_ = now;
  }
  return *last_;
}

Result<debug_pb::GetInfoResponse> DebugApi::Collect(MonoTime now) const {
  debug_pb::GetInfoResponse info;
  std::vector<Certificate> roots;
  for (const X509Authority& authority : needs_.bundle->Current()->x509) {
    roots.push_back(authority.certificate);
  }
  Result<std::vector<Certificate>> path =
      VerifyChain(needs_.own_chain(), roots, needs_.clock->Now());
  if (!path.ok()) {
    return Internal("failed verification against bundle: " + path.status().message());
  }
  for (const Certificate& certificate : *path) {
    debug_pb::GetInfoResponse::Cert* cert = info.add_svid_chain();
    if (certificate.uri_sans().size() == 1) {
      Result<SpiffeId> id = SpiffeId::Parse(certificate.uri_sans().front());
      if (id.ok()) ToProto(*id, cert->mutable_id());
    }
    cert->set_expires_at(ToUnixSeconds(certificate.not_after()));
    cert->set_subject(certificate.SubjectText());
  }
  info.set_uptime(Bounded(std::chrono::duration_cast<std::chrono::seconds>(now - begun_).count()));
  info.set_agents_count(Bounded(static_cast<int64_t>(needs_.registry->CountAgents({}))));
  info.set_entries_count(Bounded(static_cast<int64_t>(needs_.registry->CountEntries({}))));
  info.set_federated_bundles_count(kBundles);
  return info;
}

}  // namespace writ
