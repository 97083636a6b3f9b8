// SPDX-License-Identifier: Apache-2.0
#include "server/api/svid_api.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/crypto/csr.h"
#include "server/api/convert.h"

namespace writ {
namespace {

constexpr std::string_view kEmptyName("\x30\x00", 2);  // a DER Name without attributes
constexpr int kAudiencesMax = 1000;

// Nothing above zero means the server's default, as in SPIRE.
Duration TtlFrom(int32_t seconds) { return std::chrono::seconds(std::max(seconds, 0)); }

// A wildcard beside a name that it covers would make the shorter list a surprise.
Status CheckWildcards(const std::vector<std::string>& names) {
  std::set<std::string> all(names.begin(), names.end());
  for (const std::string& name : names) {
    if (name.front() == '*') continue;
    size_t dot = name.find('.');
    std::string wildcard = "*" + (dot == std::string::npos ? "" : name.substr(dot));
    if (all.contains(wildcard)) {
      return InvalidArgument(
          "CSR DNS name contains a wildcard that covers another non-wildcard name: \"" + wildcard +
          "\" covers \"" + name + "\"");
    }
  }
  return OkStatus();
}

Result<std::vector<std::string>> AudienceFrom(
    const google::protobuf::RepeatedPtrField<std::string>& list) {
  if (list.size() > kAudiencesMax) {
    return InvalidArgument("there are " + std::to_string(list.size()) +
                           " audiences, expected at most " + std::to_string(kAudiencesMax));
  }
  std::vector<std::string> audience;
  for (const std::string& value : list) {
    if (!value.empty()) audience.push_back(value);
  }
  if (audience.empty()) return InvalidArgument("at least one audience is required");
  return audience;
}

// Answers with a JWT-SVID once it is issued.
template <class Response>
void ReplyWithJwt(Issuer& issuer, const Result<JwtRequest>& wanted, const std::string& actor,
                  Reply<Response> reply) {
  if (!wanted.ok()) return reply(wanted.status());
  issuer.IssueJwtThen(*wanted, actor, [reply = std::move(reply)](const Result<IssuedJwt>& issued) {
    if (!issued.ok()) return reply(issued.status().Annotate("failed to sign JWT-SVID"));
    Response response;
    ToProto(*issued, response.mutable_svid());
    reply(std::move(response));
  });
}

}  // namespace

Result<X509Request> SvidApi::MintRequestFor(const svid_pb::MintX509SVIDRequest& request) const {
  if (request.csr().empty()) return InvalidArgument("missing CSR");
  Csr csr = TRY(ParseCsr(request.csr(), {.forged = "failed to verify CSR signature"}));
  if (csr.uri_sans.empty()) return InvalidArgument("CSR URI SAN is required");
  if (csr.uri_sans.size() > 1) return InvalidArgument("only one URI SAN is expected");
  SpiffeId id = TRY(SpiffeId::Parse(csr.uri_sans.front()), "CSR URI SAN is invalid");
  TRY(CheckWorkloadId(td_, id), "CSR URI SAN is invalid");
  if (csr.dns_sans.size() > kDnsNamesMax) {
    return InvalidArgument("the CSR has " + std::to_string(csr.dns_sans.size()) +
                           " DNS names, expected at most " + std::to_string(kDnsNamesMax));
  }
  for (const std::string& name : csr.dns_sans) {
    TRY(ValidateDnsName(name), "CSR DNS name is invalid");
  }
  TRY(CheckWildcards(csr.dns_sans));
  X509Request wanted{.id = std::move(id),
                     .key = std::move(csr.key),
                     .dns_names = std::move(csr.dns_sans),
                     .ttl = TtlFrom(request.ttl())};
  if (csr.subject_der != kEmptyName) wanted.subject_der = std::move(csr.subject_der);
  return wanted;
}

void SvidApi::MintX509Svid(Call& call, const svid_pb::MintX509SVIDRequest& request,
                           Reply<svid_pb::MintX509SVIDResponse> reply) {
  Result<X509Request> wanted = MintRequestFor(request);
  if (!wanted.ok()) return reply(wanted.status());
  issuer_->IssueX509Then(
      std::span(&*wanted, 1), X509Purpose::kMint, call.caller.actor,
      [reply = std::move(reply)](const std::vector<Result<IssuedX509>>& issued) {
        const Result<IssuedX509>& svid = issued.front();
        if (!svid.ok()) return reply(svid.status().Annotate("failed to sign X509-SVID"));
        svid_pb::MintX509SVIDResponse response;
        ToProto(*svid, response.mutable_svid());
        reply(std::move(response));
      });
}

Result<JwtRequest> SvidApi::MintRequestFor(const svid_pb::MintJWTSVIDRequest& request) const {
  JwtRequest wanted{.id = TRY(WorkloadIdFrom(td_, IdOf(request)), "invalid SPIFFE ID")};
  wanted.audience = TRY(AudienceFrom(request.audience()));
  wanted.ttl = TtlFrom(request.ttl());
  return wanted;
}

void SvidApi::MintJwtSvid(Call& call, const svid_pb::MintJWTSVIDRequest& request,
                          Reply<svid_pb::MintJWTSVIDResponse> reply) {
  ReplyWithJwt(*issuer_, MintRequestFor(request), call.caller.actor, std::move(reply));
}

Result<X509Request> SvidApi::RequestFor(const SpiffeId& agent,
                                        const svid_pb::NewX509SVIDParams& params, Time now) const {
  if (params.entry_id().empty()) return InvalidArgument("missing entry ID");
  if (params.csr().empty()) return InvalidArgument("missing CSR");
  std::optional<Entry> entry = registry_->AuthorizedEntry(agent, params.entry_id(), now);
  if (!entry) return NotFound("entry not found or not authorized");
  Csr csr = TRY(ParseCsr(params.csr()));
  return X509Request{.id = std::move(entry->spiffe_id),
                     .key = std::move(csr.key),
                     .dns_names = std::move(entry->dns_names),
                     .ttl = std::chrono::seconds(entry->x509_ttl_seconds),
                     .entry_id = std::move(entry->id)};
}

void SvidApi::BatchNewX509Svid(Call& call, const svid_pb::BatchNewX509SVIDRequest& request,
                               Reply<svid_pb::BatchNewX509SVIDResponse> reply) {
  if (request.params().empty()) return reply(InvalidArgument("missing parameters"));
  if (request.params_size() > kSvidBatchMax) {
    return reply(ResourceExhausted("the batch has " + std::to_string(request.params_size()) +
                                   " items, expected at most " + std::to_string(kSvidBatchMax) +
                                   ": send several"));
  }
  Time now = clock_->Now();
  svid_pb::BatchNewX509SVIDResponse response;
  std::vector<X509Request> wanted;
  std::vector<int> places;
  for (int i = 0; i < request.params_size(); ++i) {
    auto* result = response.add_results();
    Result<X509Request> one = RequestFor(call.Agent(), request.params(i), now);
    if (!one.ok()) {
      ToProto(one.status(), result->mutable_status());
      continue;
    }
    wanted.push_back(std::move(*one));
    places.push_back(i);
  }
  issuer_->IssueX509Then(
      wanted, X509Purpose::kWorkload, call.caller.actor,
      [response = std::move(response), places = std::move(places),
       reply = std::move(reply)](const std::vector<Result<IssuedX509>>& issued) mutable {
        CHECK(issued.size() == places.size());
        for (size_t n = 0; n < issued.size(); ++n) {
          auto* result = response.mutable_results(places[n]);
          ToProto(issued[n].status().Annotate("failed to sign X509-SVID"),
                  result->mutable_status());
          if (issued[n].ok()) ToProto(*issued[n], result->mutable_svid());
        }
        reply(std::move(response));
      });
}

Result<JwtRequest> SvidApi::RequestFor(const SpiffeId& agent,
                                       const svid_pb::NewJWTSVIDRequest& request) const {
  std::optional<Entry> entry = registry_->AuthorizedEntry(agent, request.entry_id(), clock_->Now());
  if (!entry) return NotFound("entry not found or not authorized");
  std::vector<std::string> audience = TRY(AudienceFrom(request.audience()));
  return JwtRequest{.id = std::move(entry->spiffe_id),
                    .audience = std::move(audience),
                    .ttl = std::chrono::seconds(entry->jwt_ttl_seconds),
                    .include_jti = entry->jwt_svid_include_jti,
                    .entry_id = std::move(entry->id)};
}

void SvidApi::NewJwtSvid(Call& call, const svid_pb::NewJWTSVIDRequest& request,
                         Reply<svid_pb::NewJWTSVIDResponse> reply) {
  ReplyWithJwt(*issuer_, RequestFor(call.Agent(), request), call.caller.actor, std::move(reply));
}

// The caller's entry says `downstream`: authorization has seen to it.
Result<svid_pb::NewDownstreamX509CAResponse> SvidApi::NewDownstreamX509Ca(
    Call& call, const svid_pb::NewDownstreamX509CARequest& request) {
  Csr csr = TRY(ParseCsr(request.csr()));
  DownstreamCaRequest wanted{.key = std::move(csr.key), .ttl = TtlFrom(request.preferred_ttl())};
  IssuedX509 ca = TRY(issuer_->IssueDownstreamCa(wanted, call.caller.actor),
                      "failed to sign downstream X.509 CA");
  svid_pb::NewDownstreamX509CAResponse response;
  for (std::string& der : ca.chain) response.add_ca_cert_chain(std::move(der));
  for (const X509Authority& authority : bundle_->Current()->x509) {
    response.add_x509_authorities(authority.certificate.der());
  }
  return response;
}

}  // namespace writ
