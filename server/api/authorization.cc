// SPDX-License-Identifier: Apache-2.0
#include "server/api/authorization.h"

#include <algorithm>

namespace writ {
namespace {

using enum RateClass;

constexpr MethodRow kMethods[] = {
    {"/spire.api.server.svid.v1.SVID/MintX509SVID", kAdmin | kLocal, kNoLimit},
    {"/spire.api.server.svid.v1.SVID/MintJWTSVID", kAdmin | kLocal, kNoLimit},
    {"/spire.api.server.svid.v1.SVID/MintWITSVID", kAdmin | kLocal, kNoLimit},
    {"/spire.api.server.svid.v1.SVID/BatchNewX509SVID", kAgent, kX509},
    {"/spire.api.server.svid.v1.SVID/NewJWTSVID", kAgent, kJwt},
    {"/spire.api.server.svid.v1.SVID/BatchNewWITSVID", kAgent, kWit},
    {"/spire.api.server.svid.v1.SVID/NewDownstreamX509CA", kDownstream, kX509},

    {"/spire.api.server.bundle.v1.Bundle/GetBundle", kAny, kNoLimit},
    {"/spire.api.server.bundle.v1.Bundle/GetFederatedBundle", kAdmin | kLocal | kAgent, kNoLimit},
    {"/spire.api.server.bundle.v1.Bundle/PublishJWTAuthority", kDownstream, kPublish, true},
    {"/spire.api.server.bundle.v1.Bundle/PublishWITAuthority", kDownstream, kPublish},
    {"/spire.api.server.bundle.v1.Bundle/CountBundles", kAdmin | kLocal, kNoLimit},
    {"/spire.api.server.bundle.v1.Bundle/AppendBundle", kAdmin | kLocal, kNoLimit, true},
    {"/spire.api.server.bundle.v1.Bundle/ListFederatedBundles", kAdmin | kLocal, kNoLimit},
    {"/spire.api.server.bundle.v1.Bundle/BatchCreateFederatedBundle", kAdmin | kLocal, kNoLimit},
    {"/spire.api.server.bundle.v1.Bundle/BatchUpdateFederatedBundle", kAdmin | kLocal, kNoLimit},
    {"/spire.api.server.bundle.v1.Bundle/BatchSetFederatedBundle", kAdmin | kLocal, kNoLimit},
    {"/spire.api.server.bundle.v1.Bundle/BatchDeleteFederatedBundle", kAdmin | kLocal, kNoLimit},

    {"/spire.api.server.entry.v1.Entry/GetAuthorizedEntries", kAgent, kNoLimit},
    {"/spire.api.server.entry.v1.Entry/SyncAuthorizedEntries", kAgent, kNoLimit},
    {"/spire.api.server.entry.v1.Entry/CountEntries", kAdmin | kLocal, kNoLimit},
    {"/spire.api.server.entry.v1.Entry/ListEntries", kAdmin | kLocal, kNoLimit},
    {"/spire.api.server.entry.v1.Entry/GetEntry", kAdmin | kLocal, kNoLimit},
    {"/spire.api.server.entry.v1.Entry/BatchCreateEntry", kAdmin | kLocal, kNoLimit, true},
    {"/spire.api.server.entry.v1.Entry/BatchUpdateEntry", kAdmin | kLocal, kNoLimit, true},
    {"/spire.api.server.entry.v1.Entry/BatchDeleteEntry", kAdmin | kLocal, kNoLimit, true},

    {"/spire.api.server.agent.v1.Agent/AttestAgent", kAny, kAttestation, true},
    {"/spire.api.server.agent.v1.Agent/RenewAgent", kAgent, kX509, true},
    {"/spire.api.server.agent.v1.Agent/PostStatus", kAgent, kPostStatus},
    {"/spire.api.server.agent.v1.Agent/CountAgents", kAdmin | kLocal, kNoLimit},
    {"/spire.api.server.agent.v1.Agent/ListAgents", kAdmin | kLocal, kNoLimit},
    {"/spire.api.server.agent.v1.Agent/GetAgent", kAdmin | kLocal, kNoLimit},
    {"/spire.api.server.agent.v1.Agent/DeleteAgent", kAdmin | kLocal, kNoLimit, true},
    {"/spire.api.server.agent.v1.Agent/BanAgent", kAdmin | kLocal, kNoLimit, true},
    {"/spire.api.server.agent.v1.Agent/CreateJoinToken", kAdmin | kLocal, kNoLimit, true},

    {"/spire.api.server.trustdomain.v1.TrustDomain/ListFederationRelationships", kAdmin | kLocal,
     kNoLimit},
    {"/spire.api.server.trustdomain.v1.TrustDomain/GetFederationRelationship", kAdmin | kLocal,
     kNoLimit},
    {"/spire.api.server.trustdomain.v1.TrustDomain/BatchCreateFederationRelationship",
     kAdmin | kLocal, kNoLimit},
    {"/spire.api.server.trustdomain.v1.TrustDomain/BatchUpdateFederationRelationship",
     kAdmin | kLocal, kNoLimit},
    {"/spire.api.server.trustdomain.v1.TrustDomain/BatchDeleteFederationRelationship",
     kAdmin | kLocal, kNoLimit},
    {"/spire.api.server.trustdomain.v1.TrustDomain/RefreshBundle", kAdmin | kLocal, kNoLimit},

    {"/spire.api.server.localauthority.v1.LocalAuthority/GetJWTAuthorityState", kAdmin | kLocal,
     kNoLimit},
    {"/spire.api.server.localauthority.v1.LocalAuthority/PrepareJWTAuthority", kAdmin | kLocal,
     kNoLimit},
    {"/spire.api.server.localauthority.v1.LocalAuthority/ActivateJWTAuthority", kAdmin | kLocal,
     kNoLimit},
    {"/spire.api.server.localauthority.v1.LocalAuthority/TaintJWTAuthority", kAdmin | kLocal,
     kNoLimit},
    {"/spire.api.server.localauthority.v1.LocalAuthority/RevokeJWTAuthority", kAdmin | kLocal,
     kNoLimit},
    {"/spire.api.server.localauthority.v1.LocalAuthority/GetX509AuthorityState", kAdmin | kLocal,
     kNoLimit},
    {"/spire.api.server.localauthority.v1.LocalAuthority/PrepareX509Authority", kAdmin | kLocal,
     kNoLimit},
    {"/spire.api.server.localauthority.v1.LocalAuthority/ActivateX509Authority", kAdmin | kLocal,
     kNoLimit},
    {"/spire.api.server.localauthority.v1.LocalAuthority/TaintX509Authority", kAdmin | kLocal,
     kNoLimit},
    {"/spire.api.server.localauthority.v1.LocalAuthority/TaintX509UpstreamAuthority",
     kAdmin | kLocal, kNoLimit},
    {"/spire.api.server.localauthority.v1.LocalAuthority/RevokeX509Authority", kAdmin | kLocal,
     kNoLimit},
    {"/spire.api.server.localauthority.v1.LocalAuthority/RevokeX509UpstreamAuthority",
     kAdmin | kLocal, kNoLimit},
    {"/spire.api.server.localauthority.v1.LocalAuthority/GetWITAuthorityState", kAdmin | kLocal,
     kNoLimit},
    {"/spire.api.server.localauthority.v1.LocalAuthority/PrepareWITAuthority", kAdmin | kLocal,
     kNoLimit},
    {"/spire.api.server.localauthority.v1.LocalAuthority/ActivateWITAuthority", kAdmin | kLocal,
     kNoLimit},
    {"/spire.api.server.localauthority.v1.LocalAuthority/TaintWITAuthority", kAdmin | kLocal,
     kNoLimit},
    {"/spire.api.server.localauthority.v1.LocalAuthority/RevokeWITAuthority", kAdmin | kLocal,
     kNoLimit},

    {"/writ.v1.Notices/Follow", kAgent, kNoLimit},

    {"/spire.api.server.debug.v1.Debug/GetInfo", kLocal, kNoLimit, false, true},

    {"/writ.v1.ServerWhy/ExplainIdentity", kLocal, kNoLimit, false, true},

    {"/spire.api.server.logger.v1.Logger/GetLogger", kLocal, kNoLimit, false, true},
    {"/spire.api.server.logger.v1.Logger/SetLogLevel", kLocal, kNoLimit, false, true},
    {"/spire.api.server.logger.v1.Logger/ResetLogLevel", kLocal, kNoLimit, false, true},

    {"/grpc.health.v1.Health/Check", kLocal, kNoLimit, false, true},
    {"/grpc.health.v1.Health/List", kLocal, kNoLimit, false, true},
    {"/grpc.health.v1.Health/Watch", kLocal, kNoLimit, false, true},

    {"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", kLocal, kNoLimit, false, true},
    {"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", kLocal, kNoLimit, false,
     true},
};

static_assert(std::all_of(std::begin(kMethods), std::end(kMethods),
                          [](const MethodRow& row) { return row.rate != RateClass::kNotSaid; }));

}  // namespace

std::string_view MethodRow::service() const {
  std::string_view name(full_name);
  name.remove_prefix(1);
  return name.substr(0, name.find('/'));
}

std::string_view MethodRow::method() const {
  std::string_view name(full_name);
  return name.substr(name.rfind('/') + 1);
}

std::span<const MethodRow> AllMethods() { return kMethods; }

const MethodRow* FindMethod(std::string_view full_name) {
  for (const MethodRow& row : kMethods) {
    if (row.full_name == full_name) return &row;
  }
  return nullptr;
}

Status Authorization::Check(const MethodRow& row, const ApiCaller& caller) const {
  return Decide(row, caller)
      .Annotate("authorization denied for method " + std::string(row.full_name));
}

// Cheap questions first, as SPIRE asks them: anyone, the socket, admin, downstream, agent.
Status Authorization::Decide(const MethodRow& row, const ApiCaller& caller) const {
  if (row.allowed & kAny) return OkStatus();
  if (caller.local) {
    if (row.allowed & kLocal) return OkStatus();
    return PermissionDenied("the admin socket may not call it");
  }
  if (!caller.id) return PermissionDenied("caller does not have an X509-SVID");
  bool expired = caller.leaf->not_after() < clock_->Now();
  if (!expired) {
    if ((row.allowed & kAdmin) && IsAdmin(*caller.id)) return OkStatus();
    if ((row.allowed & kDownstream) && HasEntry(*caller.id, &Entry::downstream)) return OkStatus();
  }
  if (row.allowed & kAgent) return gate_->Admit(*caller.id, *caller.leaf);
  if (expired) {
    return PermissionDenied("the caller's certificate expired at " +
                            FormatTime(caller.leaf->not_after()));
  }
  return PermissionDenied("\"" + caller.id->text() + "\" may not call it");
}

bool Authorization::IsAdmin(const SpiffeId& id) const {
  return std::find(admin_ids_.begin(), admin_ids_.end(), id) != admin_ids_.end() ||
         HasEntry(id, &Entry::admin);
}

bool Authorization::HasEntry(const SpiffeId& id, bool Entry::*flag) const {
  Time now = clock_->Now();
  std::vector<Entry> entries = registry_->EntriesOfId(id);
  return std::any_of(entries.begin(), entries.end(),
                     [&](const Entry& entry) { return entry.*flag && !entry.ExpiredAt(now); });
}

}  // namespace writ
