// SPDX-License-Identifier: Apache-2.0
#include "server/api/convert.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/base/bytes.h"
#include "server/api/front.h"

namespace writ {
namespace {

std::string Quoted(const SpiffeId& id) { return "\"" + id.text() + "\""; }

Result<SpiffeId> IdFrom(const types::SPIFFEID* id) {
  if (id == nullptr) return InvalidArgument("request must specify SPIFFE ID");
  TrustDomain td = TRY(TrustDomainFrom(id->trust_domain()));
  return SpiffeId::FromPath(td, id->path());
}

Status CheckMember(const TrustDomain& td, const SpiffeId& id) {
  if (!id.MemberOf(td)) {
    return InvalidArgument(Quoted(id) + " is not a member of trust domain \"" + td.name() + "\"");
  }
  return OkStatus();
}

Result<SelectorMatch> MatchFrom(int match) {
  if (match < 0 || match > static_cast<int>(SelectorMatch::kAny)) {
    return InvalidArgument("unknown match behavior " + std::to_string(match) +
                           ", expected 0 (exact), 1 (subset), 2 (superset) or 3 (any)");
  }
  return static_cast<SelectorMatch>(match);
}

}  // namespace

Status CheckBatch(int items) {
  if (static_cast<size_t>(items) <= kBatchItemsMax) return OkStatus();
  return InvalidArgument("the batch has " + std::to_string(items) + " items, expected at most " +
                         std::to_string(kBatchItemsMax) + ": send several");
}

Result<int64_t> PlaceFrom(std::string_view page_token) {
  if (page_token.empty()) return kFromTheFirst;
  int64_t place = 0;
  const char* const end = page_token.data() + page_token.size();
  const auto [read_to, error] = std::from_chars(page_token.data(), end, place);
  if (error == std::errc() && read_to == end) return place;
  return InvalidArgument("malformed page token: expected a next_page_token of an answer, got \"" +
                         Printable(page_token) + "\"");
}

void ToProto(const Status& status, types::Status* out) {
  out->set_code(static_cast<int>(status.code()));
  out->set_message(status.ok() ? "OK" : WireMessage(status));
}

void ToProto(const SpiffeId& id, types::SPIFFEID* out) {
  out->set_trust_domain(id.trust_domain_name().data(), id.trust_domain_name().size());
  out->set_path(id.path().data(), id.path().size());
}

Result<TrustDomain> TrustDomainFrom(std::string_view text) {
  if (text.find(":/") == std::string_view::npos) return TrustDomain::Parse(text);
  SpiffeId id = TRY(SpiffeId::Parse(text));
  return id.trust_domain();
}

Result<SpiffeId> MemberIdFrom(const TrustDomain& td, const types::SPIFFEID* proto) {
  SpiffeId id = TRY(IdFrom(proto));
  TRY(CheckMember(td, id));
  if (id.path().empty()) {
    return InvalidArgument(Quoted(id) + " is not a member of trust domain \"" + td.name() +
                           "\"; path is empty");
  }
  return id;
}

Status CheckWorkloadId(const TrustDomain& td, const SpiffeId& id) {
  TRY(CheckMember(td, id));
  if (id.path().empty() || id.IsReserved()) {
    return InvalidArgument(
        Quoted(id) + " is not a workload in trust domain \"" + td.name() +
        (id.path().empty() ? "\"; path is empty" : "\"; path is in the reserved namespace"));
  }
  return OkStatus();
}

Result<SpiffeId> WorkloadIdFrom(const TrustDomain& td, const types::SPIFFEID* proto) {
  SpiffeId id = TRY(IdFrom(proto));
  TRY(CheckWorkloadId(td, id));
  return id;
}

Result<SpiffeId> AgentIdFrom(const TrustDomain& td, const types::SPIFFEID* proto) {
  SpiffeId id = TRY(IdFrom(proto));
  TRY(CheckMember(td, id));
  if (!id.IsAgent()) {
    return InvalidArgument(
        Quoted(id) + " is not an agent in trust domain \"" + td.name() +
        (id.path().empty() ? "\"; path is empty" : "\"; path is not in the agent namespace"));
  }
  return id;
}

Result<Selectors> SelectorsFrom(const google::protobuf::RepeatedPtrField<types::Selector>& list) {
  if (static_cast<size_t>(list.size()) > kSelectorsMax) {
    return InvalidArgument("there are " + std::to_string(list.size()) +
                           " selectors, expected at most " + std::to_string(kSelectorsMax));
  }
  std::vector<Selector> selectors;
  selectors.reserve(list.size());
  for (const types::Selector& selector : list) {
    selectors.push_back(TRY(Selector::Make(selector.type(), selector.value())));
  }
  return Selectors(std::move(selectors));
}

void ToProto(const Selectors& selectors, google::protobuf::RepeatedPtrField<types::Selector>* out) {
  for (const Selector& selector : selectors) {
    types::Selector* added = out->Add();
    added->set_type(selector.type);
    added->set_value(selector.value);
  }
}

Result<std::pair<Selectors, SelectorMatch>> SelectorMatchFrom(const types::SelectorMatch& match) {
  Selectors selectors = TRY(SelectorsFrom(match.selectors()));
  if (selectors.empty()) return InvalidArgument("empty selector set");
  return std::pair(std::move(selectors), TRY(MatchFrom(match.match())));
}

Result<std::pair<std::vector<std::string>, SelectorMatch>> FederatesWithMatchFrom(
    const types::FederatesWithMatch& match) {
  std::vector<std::string> names;
  for (const std::string& text : match.trust_domains()) {
    names.push_back(TRY(TrustDomainFrom(text)).name());
  }
  if (names.empty()) return InvalidArgument("empty trust domain set");
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return std::pair(std::move(names), TRY(MatchFrom(match.match())));
}

void ToProto(const Agent& agent, const types::AgentMask* mask, types::Agent* out) {
  auto wanted = [mask](bool (types::AgentMask::*field)() const) {
    return mask == nullptr || (mask->*field)();
  };
  using Mask = types::AgentMask;
  ToProto(agent.id, out->mutable_id());
  if (wanted(&Mask::attestation_type)) out->set_attestation_type(agent.attestation_type);
  if (wanted(&Mask::x509svid_serial_number)) out->set_x509svid_serial_number(agent.serial);
  if (wanted(&Mask::x509svid_expires_at)) out->set_x509svid_expires_at(agent.not_after);
  if (wanted(&Mask::selectors)) ToProto(agent.selectors, out->mutable_selectors());
  if (wanted(&Mask::banned)) out->set_banned(agent.banned);
  if (wanted(&Mask::can_reattest)) out->set_can_reattest(agent.may_reattest);
  if (wanted(&Mask::agent_version)) out->set_agent_version(agent.agent_version);
}

void ToProto(const JwtAuthority& authority, types::JWTKey* out) {
  out->set_public_key(authority.key.spki());
  out->set_key_id(authority.key_id);
  out->set_expires_at(authority.expires_at);
  out->set_tainted(authority.tainted);
}

void ToProto(const Bundle& bundle, const types::BundleMask* mask, types::Bundle* out) {
  out->set_trust_domain(bundle.trust_domain.name());
  if (mask == nullptr || mask->refresh_hint()) out->set_refresh_hint(bundle.refresh_hint_seconds);
  if (mask == nullptr || mask->sequence_number()) out->set_sequence_number(bundle.sequence_number);
  if (mask == nullptr || mask->x509_authorities()) {
    for (const X509Authority& authority : bundle.x509) {
      types::X509Certificate* added = out->add_x509_authorities();
      added->set_asn1(authority.certificate.der());
      added->set_tainted(authority.tainted);
    }
  }
  if (mask == nullptr || mask->jwt_authorities()) {
    for (const JwtAuthority& authority : bundle.jwt) ToProto(authority, out->add_jwt_authorities());
  }
}

Result<JwtAuthority> JwtAuthorityFrom(const types::JWTKey& proto) {
  PublicKey key = TRY(PublicKey::FromSpki(proto.public_key()));
  if (proto.key_id().empty()) return InvalidArgument("missing key ID");
  if (key.family() == KeyFamily::kEd25519) {
    return InvalidArgument("an Ed25519 key cannot sign JWT-SVIDs: expected EC or RSA");
  }
  return JwtAuthority{
      .key_id = proto.key_id(), .key = std::move(key), .expires_at = proto.expires_at()};
}

void ToProto(const IssuedX509& svid, types::X509SVID* out) {
  ToProto(svid.id, out->mutable_id());
  for (const std::string& der : svid.chain) out->add_cert_chain(der);
  out->set_expires_at(ToUnixSeconds(svid.not_after));
}

void ToProto(const IssuedJwt& svid, types::JWTSVID* out) {
  ToProto(svid.id, out->mutable_id());
  out->set_token(svid.token);
  out->set_issued_at(ToUnixSeconds(svid.issued_at));
  out->set_expires_at(ToUnixSeconds(svid.expires_at));
}

}  // namespace writ
