// SPDX-License-Identifier: Apache-2.0
//
// JWT-SVID sections 2 to 5. Errors begin with SPIRE's words, which people search logs for.
#include <algorithm>
#include <cmath>
#include <optional>

#include "core/base/bytes.h"
#include "core/crypto/jws.h"
#include "core/spiffe/svid.h"

namespace writ {
namespace {

constexpr size_t kAudiencesMax = 1000;
constexpr size_t kToldMax = 256;  // bytes of a hostile text in an error
// Within what Time can hold (it ends in the year 2262); a claim beyond is that far away anyhow.
constexpr double kNumericDateMax = 9e9;

// The claim, or null when it is absent or null.
const Json* FindClaim(const Json& claims, std::string_view name) {
  const Json* claim = claims.Find(name);
  return claim == nullptr || claim->IsNull() ? nullptr : claim;
}

// RFC 7519 section 2: seconds since the epoch, maybe with a fraction, which is dropped.
Result<std::optional<Time>> NumericDate(const Json& claims, std::string_view name) {
  const Json* claim = FindClaim(claims, name);
  if (claim == nullptr) return std::optional<Time>();
  Result<double> seconds = claim->AsDouble();
  if (!seconds.ok() || !std::isfinite(*seconds)) {
    return InvalidArgument("token claim \"" + std::string(name) + "\" is no number");
  }
  double bounded = std::clamp(std::floor(*seconds), -kNumericDateMax, kNumericDateMax);
  return std::optional<Time>(FromUnixSeconds(static_cast<int64_t>(bounded)));
}

Status CheckTextClaim(const Json& claims, std::string_view name) {
  const Json* claim = FindClaim(claims, name);
  if (claim == nullptr || claim->IsString()) return OkStatus();
  return InvalidArgument("token claim \"" + std::string(name) + "\" is no string");
}

Result<std::vector<std::string>> Audience(const Json& claims) {
  const Json* aud = FindClaim(claims, "aud");
  if (aud == nullptr) return InvalidArgument("token missing aud claim");
  if (aud->IsString()) return std::vector<std::string>{*aud->AsString()};
  std::vector<std::string> audience;
  const Json::Array* list = aud->AsArray();
  if (list == nullptr) return InvalidArgument("token claim \"aud\" is neither a string nor a list");
  if (list->empty()) return InvalidArgument("token claim \"aud\" is empty");
  if (list->size() > kAudiencesMax) {
    return InvalidArgument("token claim \"aud\" has more than " + std::to_string(kAudiencesMax) +
                           " values");
  }
  for (const Json& value : *list) {
    if (!value.IsString()) return InvalidArgument("token claim \"aud\" holds what is no string");
    audience.push_back(*value.AsString());
  }
  return audience;
}

Result<SpiffeId> Subject(const Json& claims) {
  const Json* sub = FindClaim(claims, "sub");
  if (sub == nullptr) return InvalidArgument("token missing subject claim");
  if (!sub->IsString()) return InvalidArgument("token claim \"sub\" is no string");
  return TRY(SpiffeId::Parse(*sub->AsString()), "token has an invalid subject claim");
}

Status CheckHeader(const Jws& jws) {
  const Json* typ = jws.header.Find("typ");
  if (typ != nullptr && jws.typ != "JWT" && jws.typ != "JOSE") {
    return InvalidArgument("token has the header \"typ\" \"" + Printable(jws.typ) +
                           "\": only \"JWT\" and \"JOSE\" are allowed");
  }
  if (jws.kid.empty()) return InvalidArgument("token header missing key id");
  return OkStatus();
}

Result<JwtSvid> SvidOf(const Jws& jws, std::string_view token) {
  TRY(CheckHeader(jws));
  SpiffeId id = TRY(Subject(jws.payload));
  std::vector<std::string> audience = TRY(Audience(jws.payload));
  std::optional<Time> expires_at = TRY(NumericDate(jws.payload, "exp"));
  if (!expires_at) return InvalidArgument("token missing exp claim");
  std::optional<Time> issued_at = TRY(NumericDate(jws.payload, "iat"));
  TRY(NumericDate(jws.payload, "nbf"));
  TRY(CheckTextClaim(jws.payload, "iss"));
  TRY(CheckTextClaim(jws.payload, "jti"));
  return JwtSvid{.id = std::move(id),
                 .audience = std::move(audience),
                 .expires_at = *expires_at,
                 .issued_at = issued_at.value_or(FromUnixSeconds(0)),
                 .kid = jws.kid,
                 .claims = jws.payload,
                 .token = std::string(token)};
}

// RFC 7519 sections 4.1.4 to 4.1.6 with SPIRE's skew.
Status CheckTimes(const JwtSvid& svid, Time now) {
  if (now - kJwtSkew > svid.expires_at) {
    return InvalidArgument("token has expired at " + FormatTime(svid.expires_at));
  }
  std::optional<Time> not_before = TRY(NumericDate(svid.claims, "nbf"));
  if (not_before && now + kJwtSkew < *not_before) {
    return InvalidArgument("token is not valid before " + FormatTime(*not_before));
  }
  if (now + kJwtSkew < svid.issued_at) {
    return InvalidArgument("token was issued in the future, at " + FormatTime(svid.issued_at));
  }
  return OkStatus();
}

// The authority that the token names must have signed it; only the bundle of the subject's own
// trust domain counts.
Status CheckSignature(const Jws& jws, const SpiffeId& id, std::span<const Bundle> bundles) {
  Status outcome = InvalidArgument("no keys found for trust domain \"" +
                                   std::string(id.trust_domain_name()) + '"');
  for (const Bundle& bundle : bundles) {
    if (!id.MemberOf(bundle.trust_domain)) continue;
    const JwtAuthority* authority = bundle.FindJwt(jws.kid);
    if (authority != nullptr) {
      Status verdict = VerifyJws(jws, authority->key);
      return verdict.ok() ? verdict : InvalidArgument(verdict.message());
    }
    outcome = InvalidArgument("public key \"" + Printable(jws.kid) +
                              "\" not found in trust domain \"" + bundle.trust_domain.name() +
                              '"');
  }
  return outcome;
}

Status CheckAudience(const JwtSvid& svid, std::string_view audience) {
  if (std::ranges::find(svid.audience, audience) != svid.audience.end()) return OkStatus();
  std::string found;
  for (const std::string& one : svid.audience) {
    found += (found.empty() ? "\"" : " \"") + Printable(one, kToldMax) + '"';
    if (found.size() > kToldMax) break;
  }
  return InvalidArgument("expected audience in [\"" + Printable(audience, kToldMax) +
                         "\"] (audience=[" + found + "])");
}

Result<Jws> ParseToken(std::string_view token) {
  return TRY(ParseJws(token), "unable to parse JWT token");
}

}  // namespace

Result<JwtSvid> ParseJwtSvidInsecure(std::string_view token) {
  return SvidOf(TRY(ParseToken(token)), token);
}

Result<JwtSvid> ValidateJwtSvid(std::string_view token, std::string_view audience,
                                std::span<const Bundle> bundles, Time now) {
  if (audience.empty()) return InvalidArgument("expected an audience to validate the token for");
  Jws jws = TRY(ParseToken(token));
  JwtSvid svid = TRY(SvidOf(jws, token));
  TRY(CheckSignature(jws, svid.id, bundles));
  TRY(CheckAudience(svid, audience));
  TRY(CheckTimes(svid, now));
  return svid;
}

}  // namespace writ
