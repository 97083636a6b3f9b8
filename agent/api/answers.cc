// SPDX-License-Identifier: Apache-2.0
#include "agent/api/answers.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <string_view>

#include "core/base/secret.h"
#include "core/crypto/digest.h"

namespace writ {
namespace {

void ToProtoValue(const Json& json, google::protobuf::Value& out);

void ToProtoStruct(const Json::Object& object, google::protobuf::Struct& out) {
  for (const auto& [name, value] : object) ToProtoValue(value, (*out.mutable_fields())[name]);
}

// Recursion is bounded: Json::Parse refuses deep nesting.
void ToProtoValue(const Json& json, google::protobuf::Value& out) {
  if (const Json::Object* object = json.AsObject()) {
    ToProtoStruct(*object, *out.mutable_struct_value());
  } else if (const Json::Array* array = json.AsArray()) {
    out.mutable_list_value();  // present, also when it is empty
    for (const Json& item : *array) ToProtoValue(item, *out.mutable_list_value()->add_values());
  } else if (const std::string* text = json.AsString()) {
    out.set_string_value(*text);
  } else if (const bool* flag = json.AsBool()) {
    out.set_bool_value(*flag);
  } else if (const Result<double> number = json.AsDouble(); number.ok()) {
    out.set_number_value(*number);
  } else {
    out.set_null_value(google::protobuf::NULL_VALUE);
  }
}

bool IsJwtSvidClaim(std::string_view name) {
  return name == "sub" || name == "aud" || name == "exp";
}

}  // namespace

std::unique_ptr<X509SVIDResponse> MakeX509Svids(const WorkloadUpdate& update, bool first) {
  const bool complete = update.state == WorkloadUpdate::State::kReady;
  if (update.bundle == nullptr || (first && !complete)) return nullptr;
  auto response = std::make_unique<X509SVIDResponse>();
  const std::string bundle_der = update.bundle->X509Der();
  for (const Identity& identity : update.identities) {
    if (identity.x509 == nullptr) continue;
    X509SVID& svid = *response->add_svids();
    svid.set_spiffe_id(identity.entry->spiffe_id.text());
    svid.set_x509_svid(identity.x509->chain_der);
    const std::string_view key = identity.x509->key_pkcs8.Reveal();
    svid.set_x509_svid_key(key.data(), key.size());
    svid.set_bundle(bundle_der);
    svid.set_hint(identity.entry->hint);
  }
  if (response->svids().empty()) return nullptr;
  return response;
}

std::unique_ptr<X509BundlesResponse> MakeX509Bundles(const WorkloadUpdate& update, bool) {
  if (update.bundle == nullptr) return nullptr;
  auto response = std::make_unique<X509BundlesResponse>();
  (*response->mutable_bundles())[update.bundle->trust_domain.id()] = update.bundle->X509Der();
  return response;
}

std::unique_ptr<JWTBundlesResponse> MakeJwtBundles(const WorkloadUpdate& update, bool) {
  if (update.bundle == nullptr) return nullptr;
  auto response = std::make_unique<JWTBundlesResponse>();
  (*response->mutable_bundles())[update.bundle->trust_domain.id()] =
      ToWorkloadJwks(*update.bundle);
  return response;
}

google::protobuf::Struct MakeClaims(const JwtSvid& svid, const TrustDomain& own) {
  google::protobuf::Struct claims;
  const Json::Object* payload = svid.claims.AsObject();
  CHECK(payload != nullptr);
  const bool foreign = !svid.id.MemberOf(own);
  for (const auto& [name, value] : *payload) {
    if (foreign && !IsJwtSvidClaim(name)) continue;
    ToProtoValue(value, (*claims.mutable_fields())[name]);
  }
  auto& audience = *(*claims.mutable_fields())["aud"].mutable_list_value();
  audience.Clear();
  for (const std::string& value : svid.audience) audience.add_values()->set_string_value(value);
  return claims;
}

std::string FingerprintOf(const google::protobuf::Message& message) {
  std::string bytes;
  bytes.reserve(message.ByteSizeLong());
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    CHECK(message.SerializeToCodedStream(&coded));
  }
  std::string fingerprint = Sha256(bytes);
  Wipe(bytes.data(), bytes.size());
  return fingerprint;
}

void WipeKeys(X509SVIDResponse& response) {
  for (X509SVID& svid : *response.mutable_svids()) {
    std::string* key = svid.mutable_x509_svid_key();
    Wipe(key->data(), key->size());
  }
}

}  // namespace writ
