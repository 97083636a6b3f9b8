// SPDX-License-Identifier: Apache-2.0
#include "test/fuzz/targets.h"

#include "attestors/x509pop/messages.h"
#include "attestors/x509pop/path_template.h"
#include "core/base/bytes.h"
#include "core/base/config_yaml.h"
#include "core/base/json.h"
#include "core/crypto/csr.h"
#include "core/crypto/jwk.h"
#include "core/crypto/jws.h"
#include "core/crypto/x509.h"
#include "core/net/http2_calls.h"
#include "core/net/proxy_header.h"
#include "core/spiffe/bundle.h"
#include "core/spiffe/entry.h"
#include "core/spiffe/id.h"
#include "core/spiffe/selector.h"
#include "core/spiffe/svid.h"

namespace writ {
namespace {

const TrustDomain& ExampleOrg() {
  static const TrustDomain td = *TrustDomain::Parse("example.org");
  return td;
}

void FuzzSpiffeId(std::string_view input) {
  Result<SpiffeId> id = SpiffeId::Parse(input);
  if (!id.ok()) return;
  CHECK(id->text() == input);
  Result<SpiffeId> rebuilt = SpiffeId::FromPath(id->trust_domain(), id->path());
  CHECK(rebuilt.ok() && rebuilt->text() == input);
}

void FuzzSelector(std::string_view input) {
  Result<Selector> selector = Selector::Parse(input);
  if (selector.ok()) CHECK(selector->text() == input);
  (void)ValidateDnsName(input);
  (void)ValidateEntryId(input);
}

void FuzzBase64(std::string_view input) {
  Result<std::string> url = Base64UrlDecode(input);
  if (url.ok()) CHECK(Base64UrlEncode(*url) == input);
  Result<std::string> padded = Base64Decode(input);
  if (padded.ok()) CHECK(Base64Encode(*padded) == input);
}

void FuzzJson(std::string_view input) {
  Result<Json> value = Json::Parse(input);
  if (!value.ok()) return;
  Result<Json> again = Json::Parse(value->Dump());
  CHECK(again.ok());
  CHECK(again->Dump() == value->Dump());
}

void FuzzYaml(std::string_view input) { (void)ParseYaml(input, "input"); }

void FuzzCertificate(std::string_view input) {
  Result<Certificate> certificate = Certificate::FromDer(input);
  if (!certificate.ok()) return;
  CHECK(certificate->der() == input);
  (void)certificate->SubjectText();
  (void)certificate->self_signed();
  (void)CheckX509Leaf(*certificate);
  (void)CheckX509Authority(*certificate, ExampleOrg());
}

void FuzzPem(std::string_view input) {
  Result<std::vector<Certificate>> certificates = Certificate::FromPem(input);
  if (certificates.ok()) CHECK(!certificates->empty());
}

void FuzzCsr(std::string_view input) { (void)ParseCsr(input); }

void FuzzPublicKey(std::string_view input) {
  Result<PublicKey> key = PublicKey::FromSpki(input);
  if (key.ok()) CHECK(key->spki() == input);
}

void FuzzJws(std::string_view input) {
  Result<Jws> jws = ParseJws(input);
  if (jws.ok()) CHECK(input.starts_with(jws->signing_input));
  (void)ParseJwtSvidInsecure(input);
}

void FuzzJwk(std::string_view input) {
  Result<Json> value = Json::Parse(input);
  if (!value.ok()) return;
  Result<PublicKey> key = FromJwk(*value);
  if (!key.ok()) return;
  Result<Json> written = ToJwk(*key);
  CHECK(written.ok());
  CHECK(*FromJwk(*written) == *key);
}

void FuzzBundle(std::string_view input) {
  Result<Bundle> bundle = ParseBundleFile(ExampleOrg(), input);
  if (bundle.ok()) CHECK(FromSpiffeJson(ExampleOrg(), ToSpiffeJson(*bundle)).ok());
  (void)FromWorkloadJwks(input);
}

void FuzzPopMessages(std::string_view input) {
  constexpr size_t kCertificatesMax = 5;
  Result<std::vector<std::string>> certificates = ReadPopPayload(input, kCertificatesMax);
  if (certificates.ok()) {
    CHECK(!certificates->empty() && certificates->size() <= kCertificatesMax);
    CHECK(*ReadPopPayload(WritePopPayload(*certificates), kCertificatesMax) == *certificates);
  }
  for (PopProof proof : {PopProof::kRsa, PopProof::kEcdsa}) {
    Result<std::string> nonce = ReadPopChallenge(proof, input);
    if (nonce.ok()) CHECK(*ReadPopChallenge(proof, WritePopChallenge(proof, *nonce)) == *nonce);
    Result<PopResponse> response = ReadPopResponse(proof, input);
    if (!response.ok()) continue;
    Result<PopResponse> again = ReadPopResponse(proof, *WritePopResponse(proof, *response));
    CHECK(again.ok() && again->signature == response->signature);
  }
}

void FuzzPathTemplate(std::string_view input) {
  Result<PathTemplate> parsed = PathTemplate::Parse(input);
  if (!parsed.ok()) return;
  (void)parsed->Expand({.plugin_name = "x509pop", .common_name = std::string(input)});
}

// The input is what both sides send; its first byte says in which pieces it passes by.
void FuzzHttp2Calls(std::string_view input) {
  if (input.empty()) return;
  size_t piece = static_cast<unsigned char>(input.front()) + size_t{1};
  input.remove_prefix(1);
  ConnectionCalls whole;
  ConnectionCalls pieces;
  size_t abandoned = whole.FromClient(input) + whole.FromServer(input);
  size_t in_pieces = 0;
  for (size_t i = 0; i < input.size(); i += piece) {
    in_pieces += pieces.FromClient(input.substr(i, piece));
  }
  for (size_t i = 0; i < input.size(); i += piece) {
    in_pieces += pieces.FromServer(input.substr(i, piece));
  }
  CHECK(abandoned == in_pieces);
  CHECK(whole.last_stream() == pieces.last_stream());
  CHECK(whole.open() == pieces.open() && whole.open() <= ConnectionCalls::kOpenMax);
}

void FuzzProxyHeader(std::string_view input) {
  Result<ProxyHeader> header = ParseProxyHeader(input);
  if (!header.ok() || header->state != ProxyHeader::State::kWhole) return;
  CHECK(header->bytes <= input.size() && header->bytes <= ProxyHeader::kBytesMax);
  if (header->source) CHECK(IpAddress::Parse(header->source->text()).ok());
  // What follows does not change it, and nothing shorter is it.
  Result<ProxyHeader> alone = ParseProxyHeader(input.substr(0, header->bytes));
  CHECK(alone.ok() && alone->bytes == header->bytes);
  Result<ProxyHeader> cut = ParseProxyHeader(input.substr(0, header->bytes - 1));
  CHECK(!cut.ok() || cut->state == ProxyHeader::State::kPartial);
}

constexpr FuzzTarget kTargets[] = {
    {"base64", FuzzBase64},
    {"bundle", FuzzBundle},
    {"certificate", FuzzCertificate},
    {"csr", FuzzCsr},
    {"http2_calls", FuzzHttp2Calls},
    {"json", FuzzJson},
    {"jwk", FuzzJwk},
    {"jws", FuzzJws},
    {"pem", FuzzPem},
    {"proxy_header", FuzzProxyHeader},
    {"public_key", FuzzPublicKey},
    {"selector", FuzzSelector},
    {"spiffe_id", FuzzSpiffeId},
    {"x509pop_message", FuzzPopMessages},
    {"x509pop_path", FuzzPathTemplate},
    {"yaml", FuzzYaml},
};

}  // namespace

std::span<const FuzzTarget> FuzzTargets() { return kTargets; }

}  // namespace writ
