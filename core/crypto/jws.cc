// SPDX-License-Identifier: Apache-2.0
#include "core/crypto/jws.h"

#include <array>
#include <optional>
#include <vector>

#include "core/base/bytes.h"
#include "core/crypto/ecdsa.h"
#include "core/crypto/spki.h"

namespace writ {
namespace {

struct Algorithm {
  std::string_view name;
  SignatureScheme scheme;
  KeyFamily family;  // RFC 7518 section 3.4: each ES algorithm has one curve
};
constexpr std::array<Algorithm, 9> kAlgorithms = {{
    {"ES256", SignatureScheme::kEcdsaSha256, KeyFamily::kEcP256},
    {"ES384", SignatureScheme::kEcdsaSha384, KeyFamily::kEcP384},
    {"ES512", SignatureScheme::kEcdsaSha512, KeyFamily::kEcP521},
    {"RS256", SignatureScheme::kRsaPkcs1Sha256, KeyFamily::kRsa},
    {"RS384", SignatureScheme::kRsaPkcs1Sha384, KeyFamily::kRsa},
    {"RS512", SignatureScheme::kRsaPkcs1Sha512, KeyFamily::kRsa},
    {"PS256", SignatureScheme::kRsaPssSha256, KeyFamily::kRsa},
    {"PS384", SignatureScheme::kRsaPssSha384, KeyFamily::kRsa},
    {"PS512", SignatureScheme::kRsaPssSha512, KeyFamily::kRsa},
}};

const Algorithm* FindAlgorithm(std::string_view name) {
  for (const Algorithm& algorithm : kAlgorithms) {
    if (algorithm.name == name) return &algorithm;
  }
  return nullptr;
}

// The first that fits: RS256 for RSA.
const Algorithm* AlgorithmOfKey(const PublicKey& key) {
  for (const Algorithm& algorithm : kAlgorithms) {
    if (algorithm.family == key.family()) return &algorithm;
  }
  return nullptr;
}

Result<std::array<std::string_view, 3>> SplitToken(std::string_view token) {
  if (token.size() > kJwsBytesMax) {
    return InvalidArgument("a token of " + std::to_string(token.size()) + " bytes; at most " +
                           std::to_string(kJwsBytesMax) + " are accepted");
  }
  if (token.starts_with('{')) {
    return InvalidArgument("the token is in JSON serialization; only the compact one is accepted");
  }
  size_t first = token.find('.');
  size_t second = first == std::string_view::npos ? first : token.find('.', first + 1);
  if (second == std::string_view::npos || token.find('.', second + 1) != std::string_view::npos) {
    return InvalidArgument("a token has three parts separated by dots");
  }
  return std::array{token.substr(0, first), token.substr(first + 1, second - first - 1),
                    token.substr(second + 1)};
}

Result<Json> ParseObject(std::string_view base64url) {
  Json json = TRY(Json::Parse(TRY(Base64UrlDecode(base64url))));
  if (!json.IsObject()) return InvalidArgument("is no JSON object");
  return json;
}

// The text of a header parameter; empty when absent.
Result<std::string> HeaderText(const Json& header, std::string_view name) {
  const Json* value = header.Find(name);
  if (value == nullptr) return std::string();
  if (!value->IsString()) {
    return InvalidArgument("header parameter \"" + std::string(name) + "\" must be a string");
  }
  return *value->AsString();
}

// RFC 7518 section 3.4: r and s, each as long as a coordinate, one after the other.
std::string RawToDer(std::string_view raw) {
  return EcdsaToDer(raw.substr(0, raw.size() / 2), raw.substr(raw.size() / 2));
}

Result<std::string> DerToRaw(std::string_view der, size_t coordinate_bytes) {
  EcdsaNumbers numbers = TRY(EcdsaFromDer(der));
  std::string raw;
  for (const std::string& number : {numbers.r, numbers.s}) {
    if (number.size() > coordinate_bytes) return Internal("ECDSA signature longer than its curve");
    raw.append(coordinate_bytes - number.size(), '\0').append(number);
  }
  return raw;
}

}  // namespace

Result<Jws> ParseJws(std::string_view token) {
  auto [header, payload, signature] = TRY(SplitToken(token));
  Jws jws;
  jws.header = TRY(ParseObject(header), "token header");
  jws.alg = TRY(HeaderText(jws.header, "alg"), "token");
  if (FindAlgorithm(jws.alg) == nullptr) {
    return InvalidArgument("token: signature algorithm \"" + Printable(jws.alg, 40) +
                           "\" is not accepted; use ES256, ES384, ES512, RS256, RS384, RS512, "
                           "PS256, PS384 or PS512");
  }
  jws.kid = TRY(HeaderText(jws.header, "kid"), "token");
  jws.typ = TRY(HeaderText(jws.header, "typ"), "token");
  if (jws.header.Find("crit") != nullptr) {
    return InvalidArgument("token: critical header extensions (\"crit\") are not accepted");
  }
  // RFC 7797: false would mean a payload that is not encoded.
  const Json* encoded = jws.header.Find("b64");
  if (encoded != nullptr && *encoded != Json(true)) {
    return InvalidArgument("token: payloads that are not encoded (\"b64\") are not accepted");
  }
  jws.payload = TRY(ParseObject(payload), "token payload");
  jws.signature = TRY(Base64UrlDecode(signature), "token signature");
  jws.signing_input = token.substr(0, header.size() + 1 + payload.size());
  return jws;
}

Status VerifyJws(const Jws& jws, const PublicKey& key) {
  const Algorithm* algorithm = FindAlgorithm(jws.alg);
  if (algorithm == nullptr || algorithm->family != key.family()) {
    return InvalidArgument("token: signature algorithm \"" + Printable(jws.alg, 40) +
                           "\" does not fit the key, which is " + key.Describe());
  }
  const CurveFacts* curve = FindCurve(key.family());
  if (curve == nullptr) return key.Verify(algorithm->scheme, jws.signing_input, jws.signature);
  if (jws.signature.size() != 2 * curve->coordinate_bytes) {
    return PermissionDenied("an " + jws.alg + " signature has " +
                            std::to_string(2 * curve->coordinate_bytes) + " bytes, this one " +
                            std::to_string(jws.signature.size()));
  }
  return key.Verify(algorithm->scheme, jws.signing_input, RawToDer(jws.signature));
}

Result<std::string> JwsAlgorithmOf(const PublicKey& key) {
  const Algorithm* algorithm = AlgorithmOfKey(key);
  if (algorithm != nullptr) return std::string(algorithm->name);
  return InvalidArgument("tokens cannot be signed with a key of " + key.Describe());
}

Result<std::string> SignJws(const Json& payload, std::string_view kid, std::string_view typ,
                            Signer& signer) {
  const PublicKey& key = signer.Public();
  std::string alg = TRY(JwsAlgorithmOf(key));
  Json header = Json::MakeObject();
  header.Set("alg", alg);
  if (!kid.empty()) header.Set("kid", kid);
  if (!typ.empty()) header.Set("typ", typ);
  std::string token = Base64UrlEncode(header.Dump()) + "." + Base64UrlEncode(payload.Dump());
  std::string signature = TRY(signer.Sign(FindAlgorithm(alg)->scheme, token), "sign token");
  if (const CurveFacts* curve = FindCurve(key.family())) {
    signature = TRY(DerToRaw(signature, curve->coordinate_bytes));
  }
  return token + "." + Base64UrlEncode(signature);
}

}  // namespace writ
