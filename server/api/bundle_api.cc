// SPDX-License-Identifier: Apache-2.0
#include "server/api/bundle_api.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "core/base/bytes.h"
#include "server/api/convert.h"

namespace writ {
namespace {

constexpr size_t kAuthoritiesMax = 1000;  // of each kind, in the bundle

Result<std::vector<Certificate>> AuthoritiesFrom(
    const google::protobuf::RepeatedPtrField<types::X509Certificate>& list) {
  std::vector<Certificate> authorities;
  for (const types::X509Certificate& proto : list) {
    for (Certificate& certificate : TRY(Certificate::ChainFromDer(proto.asn1()))) {
      if (!certificate.is_ca()) {
        return InvalidArgument("the certificate of " + certificate.SubjectText() +
                               " is no CA certificate");
      }
      authorities.push_back(std::move(certificate));
    }
  }
  return authorities;
}

void AddX509(Bundle& bundle, const Certificate& certificate) {
  bool there = std::any_of(bundle.x509.begin(), bundle.x509.end(), [&](const X509Authority& known) {
    return known.certificate == certificate;
  });
  if (!there) bundle.x509.push_back({.certificate = certificate});
}

bool EndsLater(int64_t expires_at, int64_t than) {
  if (expires_at == 0 || than == 0) return expires_at == 0 && than != 0;  // 0: no known end
  return expires_at > than;
}

// A key that is there already may get a longer life. Its ID never becomes another key's as well: of
// two keys with one ID, validators could know only one.
Status AddJwt(Bundle& bundle, const JwtAuthority& authority) {
  auto known = std::ranges::find(bundle.jwt, authority.key_id, &JwtAuthority::key_id);
  if (known == bundle.jwt.end()) {
    bundle.jwt.push_back(authority);
    return OkStatus();
  }
  if (!(known->key == authority.key)) {
    return AlreadyExists("another JWT authority has the key ID \"" + Printable(authority.key_id) +
                         "\": each key needs an ID of its own");
  }
  if (EndsLater(authority.expires_at, known->expires_at)) known->expires_at = authority.expires_at;
  return OkStatus();
}

Status CheckSize(const Bundle& bundle) {
  if (bundle.x509.size() <= kAuthoritiesMax && bundle.jwt.size() <= kAuthoritiesMax) {
    return OkStatus();
  }
  return ResourceExhausted("the bundle would have more than " + std::to_string(kAuthoritiesMax) +
                           " authorities of a kind");
}

}  // namespace

Result<bundle_pb::CountBundlesResponse> BundleApi::CountBundles(
    Call&, const bundle_pb::CountBundlesRequest&) {
  bundle_pb::CountBundlesResponse response;
  response.set_count(1);  // the trust domain's own
  return response;
}

Result<types::Bundle> BundleApi::GetBundle(Call&, const bundle_pb::GetBundleRequest& request) {
  types::Bundle response;
  ToProto(*bundle_->Current(), OutputMask(request), &response);
  return response;
}

Result<types::Bundle> BundleApi::AppendBundle(Call& call,
                                              const bundle_pb::AppendBundleRequest& request) {
  if (!request.wit_authorities().empty()) {
    return Unimplemented("WIT authorities are not built yet");
  }
  if (request.jwt_authorities().empty() && request.x509_authorities().empty()) {
    return InvalidArgument("no authorities to append");
  }
  std::vector<JwtAuthority> jwt;
  for (const types::JWTKey& key : request.jwt_authorities()) {
    jwt.push_back(TRY(JwtAuthorityFrom(key), "failed to convert JWT authority"));
  }
  std::vector<Certificate> x509 =
      TRY(AuthoritiesFrom(request.x509_authorities()), "failed to convert X.509 authority");

  Result<std::shared_ptr<const Bundle>> edited = bundle_->Edit([&](Bundle& bundle) {
    for (const Certificate& certificate : x509) AddX509(bundle, certificate);
    for (const JwtAuthority& authority : jwt) TRY(AddJwt(bundle, authority));
    return CheckSize(bundle);
  });
  Status appended = edited.status().Annotate("failed to append bundle");
  call.Record("bundle.append", appended, bundle_->Current()->trust_domain.id(),
              {{"x509_authorities", static_cast<int64_t>(x509.size())},
               {"jwt_authorities", static_cast<int64_t>(jwt.size())}});
  TRY(std::move(appended));
  types::Bundle response;
  ToProto(**edited, OutputMask(request), &response);
  return response;
}

Result<bundle_pb::PublishJWTAuthorityResponse> BundleApi::PublishJwtAuthority(
    Call& call, const bundle_pb::PublishJWTAuthorityRequest& request) {
  if (!request.has_jwt_authority()) return InvalidArgument("missing JWT authority");
  JwtAuthority authority = TRY(JwtAuthorityFrom(request.jwt_authority()), "invalid JWT authority");
  Result<std::shared_ptr<const Bundle>> edited = bundle_->Edit([&](Bundle& bundle) {
    TRY(AddJwt(bundle, authority));
    return CheckSize(bundle);
  });
  Status published = edited.status().Annotate("failed to publish JWT key");
  call.Record("bundle.publish_jwt", published, authority.key_id);
  TRY(std::move(published));
  bundle_pb::PublishJWTAuthorityResponse response;
  for (const JwtAuthority& known : (*edited)->jwt) ToProto(known, response.add_jwt_authorities());
  return response;
}

}  // namespace writ
