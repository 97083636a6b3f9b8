// SPDX-License-Identifier: Apache-2.0
#include "core/crypto/jwk.h"

#include <array>

#include "core/base/bytes.h"
#include "core/crypto/digest.h"
#include "core/crypto/spki.h"

namespace writ {
namespace {

constexpr std::string_view kEc = "EC";
constexpr std::string_view kRsa = "RSA";

Result<std::string> TextMember(const Json& jwk, std::string_view name) {
  const Json* value = jwk.Find(name);
  if (value == nullptr || !value->IsString()) {
    return InvalidArgument("JWK: member \"" + std::string(name) + "\" must be there and a string");
  }
  return *value->AsString();
}

Result<std::string> BytesMember(const Json& jwk, std::string_view name) {
  std::string text = TRY(TextMember(jwk, name));
  return TRY(Base64UrlDecode(text), "JWK member \"" + std::string(name) + "\"");
}

Result<std::string> EcSpki(const Json& jwk) {
  std::string name = TRY(TextMember(jwk, "crv"));
  const CurveFacts* curve = FindCurveByJwkName(name);
  if (curve == nullptr) {
    return InvalidArgument("JWK: curve \"" + Printable(name, 40) +
                           "\" is not known; P-256, P-384 and P-521 are");
  }
  std::string point = "\x04";
  for (std::string_view member : {"x", "y"}) {
    std::string coordinate = TRY(BytesMember(jwk, member));
    if (coordinate.size() != curve->coordinate_bytes) {
      return InvalidArgument("JWK: member \"" + std::string(member) + "\" of a key on " + name +
                             " has " + std::to_string(curve->coordinate_bytes) +
                             " bytes, this one " + std::to_string(coordinate.size()));
    }
    point += coordinate;
  }
  return MakeEcSpki(*curve, point);
}

Result<std::string> RsaSpki(const Json& jwk) {
  std::string modulus = TRY(BytesMember(jwk, "n"));
  std::string exponent = TRY(BytesMember(jwk, "e"));
  return MakeRsaSpki(modulus, exponent);
}

}  // namespace

Result<Json> ToJwk(const PublicKey& key) {
  SpkiParts parts = TRY(ParseSpki(key.spki()));
  Json jwk = Json::MakeObject();
  if (const CurveFacts* curve = FindCurve(parts.family)) {
    std::string_view coordinates = parts.key_bits.substr(1);
    jwk.Set("kty", kEc);
    jwk.Set("crv", curve->jwk_name);
    jwk.Set("x", Base64UrlEncode(coordinates.substr(0, curve->coordinate_bytes)));
    jwk.Set("y", Base64UrlEncode(coordinates.substr(curve->coordinate_bytes)));
    return jwk;
  }
  if (parts.family == KeyFamily::kRsa) {
    jwk.Set("kty", kRsa);
    jwk.Set("n", Base64UrlEncode(parts.modulus));
    jwk.Set("e", Base64UrlEncode(parts.exponent));
    return jwk;
  }
  return InvalidArgument("a key of " + key.Describe() + " has no place in a SPIFFE JWK");
}

Result<PublicKey> FromJwk(const Json& jwk) {
  if (!jwk.IsObject()) return InvalidArgument("a JWK must be a JSON object");
  if (jwk.Find("d") != nullptr) {
    return InvalidArgument("JWK: a private key (member \"d\") where a public one is expected");
  }
  std::string type = TRY(TextMember(jwk, "kty"));
  if (type == kEc) return TRY(PublicKey::FromSpki(TRY(EcSpki(jwk))), "JWK");
  if (type == kRsa) return TRY(PublicKey::FromSpki(TRY(RsaSpki(jwk))), "JWK");
  return InvalidArgument("JWK: key type \"" + Printable(type, 40) +
                         "\" is not known; EC and RSA are");
}

// The members that RFC 7638 section 3.2 names, in lexicographic order.
Result<std::string> JwkThumbprint(const PublicKey& key) {
  Json jwk = TRY(ToJwk(key));
  Json required = Json::MakeObject();
  for (std::string_view name : {"crv", "e", "kty", "n", "x", "y"}) {
    if (const Json* value = jwk.Find(name)) required.Set(name, *value);
  }
  return Base64UrlEncode(Sha256(required.Dump()));
}

}  // namespace writ
