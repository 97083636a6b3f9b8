// SPDX-License-Identifier: Apache-2.0
#include "agent/client/convert.h"

#include <algorithm>

#include "core/base/bytes.h"
#include "core/spiffe/svid.h"

namespace writ {
namespace {

constexpr int kChainCertificatesMax = 16;
constexpr int kAuthoritiesMax = 1000;

Result<SpiffeId> MemberFromProto(const spire::api::types::SPIFFEID& proto, const TrustDomain& td) {
  if (proto.trust_domain() == td.name()) return SpiffeId::FromPath(td, proto.path());
  SpiffeId id = TRY(IdFromProto(proto));
  if (id.MemberOf(td)) return id;
  return InvalidArgument("\"" + id.text() + "\" is not in trust domain " + td.name());
}

}  // namespace

Result<SpiffeId> IdFromProto(const spire::api::types::SPIFFEID& id) {
  TrustDomain td = TRY(TrustDomain::Parse(id.trust_domain()));
  return SpiffeId::FromPath(td, id.path());
}

Result<Entry> EntryFromProto(const spire::api::types::Entry& proto, const TrustDomain& td) {
  TRY(ValidateEntryId(proto.id()), "entry ID");
  SpiffeId spiffe_id = TRY(MemberFromProto(proto.spiffe_id(), td), "SPIFFE ID");
  SpiffeId parent_id = TRY(MemberFromProto(proto.parent_id(), td), "parent ID");
  Entry entry{
      .id = proto.id(), .spiffe_id = std::move(spiffe_id), .parent_id = std::move(parent_id)};
  if (entry.spiffe_id.IsReserved()) {
    return InvalidArgument("SPIFFE ID " + entry.spiffe_id.text() + " is reserved");
  }
  if (proto.selectors().empty() || static_cast<size_t>(proto.selectors_size()) > kSelectorsMax) {
    return InvalidArgument("expected 1 to " + std::to_string(kSelectorsMax) + " selectors, got " +
                           std::to_string(proto.selectors_size()));
  }
  std::vector<Selector> selectors;
  selectors.reserve(proto.selectors_size());
  for (const auto& selector : proto.selectors()) {
    selectors.push_back(TRY(Selector::Make(selector.type(), selector.value()), "selector"));
  }
  entry.selectors = Selectors(std::move(selectors));
  for (const std::string& name : proto.federates_with()) {
    entry.federates_with.push_back(TRY(TrustDomain::Parse(name), "federated trust domain").name());
  }
  std::sort(entry.federates_with.begin(), entry.federates_with.end());
  if (proto.hint().size() > kHintBytesMax) {
    return InvalidArgument("hint of " + std::to_string(proto.hint().size()) + " bytes, at most " +
                           std::to_string(kHintBytesMax) + " are allowed");
  }
  entry.hint = proto.hint();
  entry.admin = proto.admin();
  entry.downstream = proto.downstream();
  entry.expires_at = proto.expires_at();
  entry.revision = proto.revision_number();
  entry.store_svid = proto.store_svid();
  entry.created_at = proto.created_at();
  if (proto.has_additional_attributes()) {
    entry.has_additional_attributes = true;
    entry.disable_x509_svid_prefetch = proto.additional_attributes().disable_x509_svid_prefetch();
    entry.jwt_svid_include_jti = proto.additional_attributes().jwt_svid_include_jti();
  }
  return entry;
}

Result<Bundle> BundleFromProto(const spire::api::types::Bundle& proto, const TrustDomain& td,
                               std::vector<std::string>* left_out) {
  if (proto.trust_domain() != td.name()) {
    return InvalidArgument("bundle of trust domain \"" + Printable(proto.trust_domain()) +
                           "\", expected " + td.name());
  }
  if (proto.x509_authorities().empty()) {
    return InvalidArgument("bundle without an X.509 authority");
  }
  if (proto.x509_authorities_size() > kAuthoritiesMax ||
      proto.jwt_authorities_size() > kAuthoritiesMax) {
    return InvalidArgument("bundle with more than " + std::to_string(kAuthoritiesMax) +
                           " authorities of one kind");
  }
  Bundle bundle{.trust_domain = td,
                .sequence_number = proto.sequence_number(),
                .refresh_hint_seconds = proto.refresh_hint()};
  auto leave_out = [left_out](const Status& why) {
    if (left_out != nullptr) left_out->push_back(why.message());
  };
  Status unusable;
  for (const auto& authority : proto.x509_authorities()) {
    // SPIRE's servers may send several certificates in one element.
    Result<CertificateChain> certificates = Certificate::ChainFromDer(authority.asn1());
    if (!certificates.ok()) {
      unusable = certificates.status().Annotate("X.509 authority");
      leave_out(unusable);
      continue;
    }
    for (Certificate& certificate : *certificates) {
      bundle.x509.push_back(X509Authority{std::move(certificate), authority.tainted()});
    }
  }
  if (bundle.x509.empty()) return unusable;
  for (const auto& key : proto.jwt_authorities()) {
    if (key.key_id().empty()) return InvalidArgument("JWT authority without a key ID");
    Result<PublicKey> public_key = PublicKey::FromSpki(key.public_key());
    if (!public_key.ok()) {
      leave_out(public_key.status().Annotate("JWT authority " + Printable(key.key_id())));
      continue;
    }
    bundle.jwt.push_back(JwtAuthority{.key_id = key.key_id(),
                                      .key = *std::move(public_key),
                                      .expires_at = key.expires_at(),
                                      .tainted = key.tainted()});
  }
  return bundle;
}

Result<CertificateChain> ChainFromProto(const spire::api::types::X509SVID& svid) {
  if (svid.cert_chain().empty() || svid.cert_chain_size() > kChainCertificatesMax) {
    return InvalidArgument("expected a chain of 1 to " + std::to_string(kChainCertificatesMax) +
                           " certificates, got " + std::to_string(svid.cert_chain_size()));
  }
  CertificateChain chain;
  chain.reserve(svid.cert_chain_size());
  for (const std::string& der : svid.cert_chain()) {
    chain.push_back(TRY(Certificate::FromDer(der), "certificate of the chain"));
  }
  return chain;
}

Result<ReceivedJwt> JwtFromProto(const spire::api::types::JWTSVID& svid, const SpiffeId& id,
                                 const std::vector<std::string>& audience) {
  JwtSvid parsed = TRY(ParseJwtSvidInsecure(svid.token()));
  if (parsed.id != id) {
    return InvalidArgument("token is for " + parsed.id.text() + ", expected " + id.text());
  }
  for (const std::string& name : audience) {
    if (std::find(parsed.audience.begin(), parsed.audience.end(), name) == parsed.audience.end()) {
      return InvalidArgument("token lacks audience \"" + Printable(name) + "\"");
    }
  }
  // A token without `iat` counts as issued when the message says so.
  Time issued_at = parsed.issued_at;
  if (issued_at == Time()) issued_at = FromUnixSeconds(svid.issued_at());
  if (issued_at > parsed.expires_at) return InvalidArgument("token ends before it was issued");
  return ReceivedJwt{svid.token(), parsed.kid, issued_at, parsed.expires_at};
}

}  // namespace writ
