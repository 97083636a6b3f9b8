// SPDX-License-Identifier: Apache-2.0
//
// The two JSON forms of a bundle. Trust: documents come from other trust domains and from files;
// a foreign element is passed over where the standards say so, anything else odd is an error.
#include <optional>

#include "core/base/bytes.h"
#include "core/base/json.h"
#include "core/crypto/jwk.h"
#include "core/spiffe/bundle.h"

namespace writ {
namespace {

constexpr std::string_view kX509Use = "x509-svid";
constexpr std::string_view kJwtUse = "jwt-svid";
constexpr size_t kBundleKeysMax = 10'000;
constexpr size_t kEd25519Bytes = 32;

// The members of a public key. Ed25519 stands in no JWT-SVID, so core/crypto's JWKs lack it, but an
// X.509 authority may hold one (RFC 8037 section 2).
Json PublicMembers(const PublicKey& key) {
  if (key.family() == KeyFamily::kEd25519) {
    std::string_view spki = key.spki();
    Json jwk = Json::MakeObject();
    jwk.Set("kty", "OKP").Set("crv", "Ed25519");
    jwk.Set("x", Base64UrlEncode(spki.substr(spki.size() - kEd25519Bytes)));
    return jwk;
  }
  Result<Json> jwk = ToJwk(key);
  CHECK(jwk.ok());  // every other family has its JWK
  return std::move(jwk).value();
}

// `kty` first, then `use` and `kid` where given, then the key itself.
Json MakeElement(const PublicKey& key, std::string_view use, std::string_view key_id) {
  Json members = PublicMembers(key);
  Json element = Json::MakeObject();
  for (const auto& [name, value] : *members.AsObject()) {
    element.Set(name, value);
    if (name != "kty") continue;
    if (!use.empty()) element.Set("use", use);
    if (!key_id.empty()) element.Set("kid", key_id);
  }
  return element;
}

std::string StringMember(const Json& object, std::string_view name) {
  const Json* member = object.Find(name);
  const std::string* text = member == nullptr ? nullptr : member->AsString();
  return text == nullptr ? std::string() : *text;
}

Result<const Json::Array*> KeysOf(const Json& document) {
  const Json* keys = document.Find("keys");
  const Json::Array* array = keys == nullptr ? nullptr : keys->AsArray();
  if (array == nullptr) return InvalidArgument("expected a \"keys\" array, there is none");
  if (array->size() > kBundleKeysMax) {
    return InvalidArgument("\"keys\" has " + std::to_string(array->size()) +
                           " elements, more than the " + std::to_string(kBundleKeysMax) +
                           " allowed");
  }
  return array;
}

bool IsKnownKeyType(const std::string& kty) { return kty == "EC" || kty == "RSA" || kty == "OKP"; }

// Nothing when the element has no certificate (X509-SVID section 6.2: it is passed over).
Result<std::optional<Certificate>> X509Element(const Json& element) {
  const Json* x5c = element.Find("x5c");
  const Json::Array* chain = x5c == nullptr ? nullptr : x5c->AsArray();
  if (chain == nullptr || chain->empty()) return std::optional<Certificate>();
  const std::string* text = chain->front().AsString();
  if (text == nullptr) return InvalidArgument("\"x5c\" holds something that is no string");
  std::string der = TRY(Base64Decode(*text), "decode \"x5c\"");
  Certificate certificate = TRY(Certificate::FromDer(der), "parse the certificate in \"x5c\"");
  // RFC 7517 section 4.7: the other members, where given, are the certificate's own key.
  const Json own = PublicMembers(certificate.public_key());
  for (const auto& [name, value] : *own.AsObject()) {
    const Json* given = element.Find(name);
    if (given != nullptr && *given != value) {
      return InvalidArgument("member \"" + name + "\" is not of the key of the certificate");
    }
  }
  return std::optional<Certificate>(std::move(certificate));
}

Status AddX509(const Json& element, Bundle& bundle) {
  std::optional<Certificate> certificate = TRY(X509Element(element));
  if (!certificate) return OkStatus();
  for (const X509Authority& known : bundle.x509) {
    if (known.certificate == *certificate) return OkStatus();
  }
  bundle.x509.push_back({std::move(*certificate)});
  return OkStatus();
}

Status AddJwt(const Json& element, std::vector<JwtAuthority>& authorities) {
  if (StringMember(element, "kty") == "OKP") return OkStatus();  // signs no JWT-SVID
  std::string key_id = StringMember(element, "kid");
  if (key_id.empty()) return InvalidArgument("\"kid\" is missing");
  for (const JwtAuthority& known : authorities) {
    if (known.key_id != key_id) continue;
    return InvalidArgument("\"kid\" \"" + Printable(key_id) + "\" stands there twice");
  }
  PublicKey key = TRY(FromJwk(element));
  authorities.push_back({std::move(key_id), std::move(key)});
  return OkStatus();
}

// A whole number of at least zero; zero when it is absent.
Result<int64_t> CountMember(const Json& document, std::string_view name) {
  const Json* member = document.Find(name);
  if (member == nullptr) return int64_t{0};
  Result<int64_t> count = member->AsInt64();
  if (count.ok() && *count >= 0) return *count;
  return InvalidArgument("\"" + std::string(name) + "\" is no whole number of at least 0");
}

}  // namespace

std::string ToSpiffeJson(const Bundle& bundle, bool pretty) {
  Json keys = Json::MakeArray();
  for (const X509Authority& authority : bundle.x509) {
    const Certificate& certificate = authority.certificate;
    Json x5c = Json::MakeArray();
    x5c.Add(Base64Encode(certificate.der()));
    keys.Add(MakeElement(certificate.public_key(), kX509Use, "").Set("x5c", std::move(x5c)));
  }
  for (const JwtAuthority& authority : bundle.jwt) {
    keys.Add(MakeElement(authority.key, kJwtUse, authority.key_id));
  }
  Json document = Json::MakeObject();
  document.Set("keys", std::move(keys)).Set("spiffe_sequence", bundle.sequence_number);
  if (bundle.refresh_hint_seconds > 0) {
    document.Set("spiffe_refresh_hint", bundle.refresh_hint_seconds);
  }
  return document.Dump(pretty);
}

Result<Bundle> FromSpiffeJson(const TrustDomain& td, std::string_view text) {
  Json document = TRY(Json::Parse(text), "read SPIFFE bundle");
  const Json::Array* keys = TRY(KeysOf(document), "read SPIFFE bundle");
  Bundle bundle{.trust_domain = td};
  bundle.sequence_number =
      static_cast<uint64_t>(TRY(CountMember(document, "spiffe_sequence"), "read SPIFFE bundle"));
  bundle.refresh_hint_seconds =
      TRY(CountMember(document, "spiffe_refresh_hint"), "read SPIFFE bundle");
  for (size_t i = 0; i < keys->size(); ++i) {
    const Json& element = (*keys)[i];
    std::string deed = "read key " + std::to_string(i) + " of the SPIFFE bundle";
    std::string use = StringMember(element, "use");
    if (!IsKnownKeyType(StringMember(element, "kty"))) continue;
    if (use == kX509Use) TRY(AddX509(element, bundle), deed);
    if (use == kJwtUse) TRY(AddJwt(element, bundle.jwt), deed);
  }
  return bundle;
}

std::string ToWorkloadJwks(const Bundle& bundle) {
  Json keys = Json::MakeArray();
  for (const JwtAuthority& authority : bundle.jwt) {
    keys.Add(MakeElement(authority.key, "", authority.key_id));
  }
  return Json::MakeObject().Set("keys", std::move(keys)).Dump();
}

Result<std::vector<JwtAuthority>> FromWorkloadJwks(std::string_view text) {
  Json document = TRY(Json::Parse(text), "read JWKS");
  const Json::Array* keys = TRY(KeysOf(document), "read JWKS");
  std::vector<JwtAuthority> authorities;
  for (size_t i = 0; i < keys->size(); ++i) {
    if (!IsKnownKeyType(StringMember((*keys)[i], "kty"))) continue;
    TRY(AddJwt((*keys)[i], authorities), "read key " + std::to_string(i) + " of the JWKS");
  }
  return authorities;
}

}  // namespace writ
