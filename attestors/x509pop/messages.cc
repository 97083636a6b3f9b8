// SPDX-License-Identifier: Apache-2.0
#include "attestors/x509pop/messages.h"

#include "core/base/bytes.h"
#include "core/base/json.h"
#include "core/crypto/ecdsa.h"

namespace writ {
namespace {

constexpr size_t kSignatureBytesMax = 1024;    // RSA 8192
constexpr size_t kEcdsaNumberBytesMax = 66;    // P-521

// As SPIRE begins what it says of such messages, so that one search in logs finds both.
constexpr std::string_view kNoPayload = "failed to unmarshal data";
constexpr std::string_view kNoResponse = "unable to unmarshal challenge response";

std::string_view MemberOf(PopProof proof) {
  return proof == PopProof::kRsa ? "rsa_signature" : "ecdsa_signature";
}

Result<Json> ParseObject(std::string_view text) {
  Json json = TRY(Json::Parse(text));
  if (!json.IsObject()) return InvalidArgument("expected a JSON object");
  return json;
}

Result<std::string> BytesIn(const Json& object, std::string_view name, size_t bytes_max) {
  const Json* member = object.Find(name);
  const std::string* text = member == nullptr ? nullptr : member->AsString();
  if (text == nullptr) {
    return InvalidArgument("expected \"" + std::string(name) + "\" with bytes in base64");
  }
  std::string bytes = TRY(Base64Decode(*text), "\"" + std::string(name) + "\"");
  if (bytes.size() > bytes_max) {
    return InvalidArgument("\"" + std::string(name) + "\" has " + std::to_string(bytes.size()) +
                           " bytes, expected at most " + std::to_string(bytes_max));
  }
  return bytes;
}

// Nothing where the member is absent or null: an answer that proves nothing.
Result<std::string> BytesOrNone(const Json& object, std::string_view name, size_t bytes_max) {
  const Json* member = object.Find(name);
  if (object.IsObject() && (member == nullptr || member->IsNull())) return std::string();
  return BytesIn(object, name, bytes_max);
}

Status Unproven(const std::string& why) {
  return PermissionDenied("challenge response verification failed: " + why);
}

Result<std::string> NonceIn(const Json& object) {
  std::string nonce = TRY(BytesIn(object, "nonce", kPopNonceBytes));
  if (nonce.size() == kPopNonceBytes) return nonce;
  return InvalidArgument("the nonce has " + std::to_string(nonce.size()) + " bytes, expected " +
                         std::to_string(kPopNonceBytes));
}

// The object of this proof; null stands for absent, as in what SPIRE writes.
Result<Json> ProofIn(PopProof proof, std::string_view text) {
  Json json = TRY(ParseObject(text));
  const Json* object = json.Find(MemberOf(proof));
  if (object == nullptr || !object->IsObject()) {
    return InvalidArgument("expected an object \"" + std::string(MemberOf(proof)) +
                           "\", which the certificate's key asks for");
  }
  return *object;
}

std::string WriteProof(PopProof proof, Json object) {
  Json json = Json::MakeObject();
  for (PopProof each : {PopProof::kRsa, PopProof::kEcdsa}) {
    json.Set(MemberOf(each), each == proof ? object : Json());
  }
  return json.Dump();
}

}  // namespace

Result<PopProof> PopProofOf(const PublicKey& key) {
  switch (key.family()) {
    case KeyFamily::kRsa:
      return PopProof::kRsa;
    case KeyFamily::kEcP256:
    case KeyFamily::kEcP384:
    case KeyFamily::kEcP521:
      return PopProof::kEcdsa;
    case KeyFamily::kEd25519:
      break;
  }
  return InvalidArgument("unsupported public key: expected RSA or ECDSA, got " + key.Describe());
}

std::string WritePopPayload(const std::vector<std::string>& certificates_der) {
  Json certificates = Json::MakeArray();
  for (const std::string& der : certificates_der) certificates.Add(Base64Encode(der));
  return Json(Json::Object{{"certificates", std::move(certificates)}}).Dump();
}

Result<std::vector<std::string>> ReadPopPayload(std::string_view text, size_t certificates_max) {
  Json json = TRY(ParseObject(text), kNoPayload);
  const Json* member = json.Find("certificates");
  const bool is_there = member != nullptr && !member->IsNull();
  const Json::Array* certificates = is_there ? member->AsArray() : nullptr;
  if (is_there && certificates == nullptr) {
    return InvalidArgument("expected \"certificates\" with a list").Annotate(kNoPayload);
  }
  if (!is_there || certificates->empty()) {
    return InvalidArgument("attestation payload: no certificate to attest");
  }
  if (certificates->size() > certificates_max) {
    return InvalidArgument("attestation payload: too many intermediate certificates: " +
                           std::to_string(certificates->size() - 1) + ", expected at most " +
                           std::to_string(certificates_max - 1));
  }
  std::vector<std::string> ders;
  for (const Json& certificate : *certificates) {
    const std::string* base64 = certificate.AsString();
    if (base64 == nullptr) {
      return InvalidArgument("a certificate is no base64 text").Annotate(kNoPayload);
    }
    ders.push_back(TRY(Base64Decode(*base64), std::string(kNoPayload) + ": certificate"));
  }
  return ders;
}

std::string WritePopChallenge(PopProof proof, std::string_view nonce) {
  return WriteProof(proof, Json::Object{{"nonce", Base64Encode(nonce)}});
}

Result<std::string> ReadPopChallenge(PopProof proof, std::string_view text) {
  return NonceIn(TRY(ProofIn(proof, text), "challenge"));
}

Result<std::string> WritePopResponse(PopProof proof, const PopResponse& response) {
  Json object = Json::MakeObject();
  object.Set("nonce", Base64Encode(response.nonce));
  if (proof == PopProof::kRsa) {
    object.Set("signature", Base64Encode(response.signature));
  } else {
    EcdsaNumbers numbers = TRY(EcdsaFromDer(response.signature));
    object.Set("r", Base64Encode(numbers.r));
    object.Set("s", Base64Encode(numbers.s));
  }
  return WriteProof(proof, std::move(object));
}

Result<PopResponse> ReadPopResponse(PopProof proof, std::string_view text) {
  const Json json = TRY(ParseObject(text), kNoResponse);
  const Json* object = json.Find(MemberOf(proof));
  if (object == nullptr || object->IsNull()) {
    const char* kind = proof == PopProof::kRsa ? "RSA" : "ECDSA";
    return Unproven(std::string("expecting ") + kind + " response, in \"" +
                    std::string(MemberOf(proof)) + "\"");
  }
  PopResponse response;
  response.nonce = TRY(BytesOrNone(*object, "nonce", kSignatureBytesMax), kNoResponse);
  if (response.nonce.size() != kPopNonceBytes) {
    return Unproven("the nonce has " + std::to_string(response.nonce.size()) +
                    " bytes, expected " + std::to_string(kPopNonceBytes));
  }
  if (proof == PopProof::kRsa) {
    response.signature = TRY(BytesOrNone(*object, "signature", kSignatureBytesMax), kNoResponse);
    return response;
  }
  std::string r = TRY(BytesOrNone(*object, "r", kEcdsaNumberBytesMax), kNoResponse);
  std::string s = TRY(BytesOrNone(*object, "s", kEcdsaNumberBytesMax), kNoResponse);
  response.signature = EcdsaToDer(r, s);
  return response;
}

}  // namespace writ
