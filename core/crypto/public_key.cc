// SPDX-License-Identifier: Apache-2.0
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include "core/crypto/digest.h"
#include "core/crypto/key.h"
#include "core/crypto/openssl.h"
#include "core/crypto/signature.h"
#include "core/crypto/spki.h"

namespace writ {
namespace {

using ParamBuilderPtr = std::unique_ptr<OSSL_PARAM_BLD, OpensslFree<OSSL_PARAM_BLD_free>>;
using ParamsPtr = std::unique_ptr<OSSL_PARAM, OpensslFree<OSSL_PARAM_free>>;

EvpPkeyPtr FromData(const char* algorithm, OSSL_PARAM* params) {
  EvpPkeyCtxPtr context(EVP_PKEY_CTX_new_from_name(nullptr, algorithm, nullptr));
  EVP_PKEY* key = nullptr;
  if (!context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params) != 1) {
    return nullptr;
  }
  return EvpPkeyPtr(key);
}

// OpenSSL checks here that the point lies on the curve.
EvpPkeyPtr MakeEc(const CurveFacts& curve, std::string_view point) {
  OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME,
                                       const_cast<char*>(curve.openssl_name), 0),
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, const_cast<char*>(point.data()),
                                        point.size()),
      OSSL_PARAM_construct_end(),
  };
  return FromData("EC", params);
}

EvpPkeyPtr MakeRsa(std::string_view modulus, std::string_view exponent) {
  BignumPtr n(BN_bin2bn(AsUnsigned(modulus), static_cast<int>(modulus.size()), nullptr));
  BignumPtr e(BN_bin2bn(AsUnsigned(exponent), static_cast<int>(exponent.size()), nullptr));
  ParamBuilderPtr builder(OSSL_PARAM_BLD_new());
  if (!n || !e || !builder ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1) {
    return nullptr;
  }
  ParamsPtr params(OSSL_PARAM_BLD_to_param(builder.get()));
  return params ? FromData("RSA", params.get()) : nullptr;
}

EvpPkeyPtr MakeEvp(const SpkiParts& parts) {
  if (const CurveFacts* curve = FindCurve(parts.family)) return MakeEc(*curve, parts.key_bits);
  if (parts.family == KeyFamily::kRsa) return MakeRsa(parts.modulus, parts.exponent);
  return EvpPkeyPtr(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr,
                                                AsUnsigned(parts.key_bits), parts.key_bits.size()));
}

enum class PssSalt { kAsScheme, kAny };

int VerifyDigest(EVP_PKEY* key, const SchemeFacts& facts, PssSalt salt, std::string_view message,
                 std::string_view signature) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int digest_size = 0;
  CHECK(EVP_Digest(message.data(), message.size(), digest, &digest_size, DigestOf(facts),
                   nullptr) == 1);
  EvpPkeyCtxPtr context(EVP_PKEY_CTX_new(key, nullptr));
  if (!context || EVP_PKEY_verify_init(context.get()) != 1 ||
      !ConfigureSignature(context.get(), facts) ||
      (salt == PssSalt::kAny &&
       EVP_PKEY_CTX_set_rsa_pss_saltlen(context.get(), RSA_PSS_SALTLEN_AUTO) != 1)) {
    return -1;
  }
  return EVP_PKEY_verify(context.get(), AsUnsigned(signature), signature.size(), digest,
                         digest_size);
}

int VerifyMessage(EVP_PKEY* key, std::string_view message, std::string_view signature) {
  EvpMdCtxPtr context(EVP_MD_CTX_new());
  if (!context || EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key) != 1) {
    return -1;
  }
  return EVP_DigestVerify(context.get(), AsUnsigned(signature), signature.size(),
                          AsUnsigned(message), message.size());
}

Status VerdictOf(const PublicKey& key, int verdict) {
  if (verdict == 1) return OkStatus();
  ERR_clear_error();
  return PermissionDenied("the signature does not verify with this " + key.Describe() + " key");
}

}  // namespace

struct PublicKey::Rep {
  KeyFamily family;
  int rsa_bits;
  std::string spki;
  std::string key_id_sha1;
  EvpPkeyPtr evp;
};

Result<PublicKey> PublicKey::FromSpki(std::string_view der) {
  SpkiParts parts = TRY(ParseSpki(der));
  EvpPkeyPtr evp = MakeEvp(parts);
  if (!evp) {
    ERR_clear_error();
    return InvalidArgument("the public key is not valid: its point is not on the curve");
  }
  int rsa_bits = parts.family == KeyFamily::kRsa ? EVP_PKEY_get_bits(evp.get()) : 0;
  return PublicKey(std::make_shared<const Rep>(
      Rep{parts.family, rsa_bits, std::string(der), Sha1(parts.key_bits), std::move(evp)}));
}

KeyFamily PublicKey::family() const { return rep_->family; }
int PublicKey::rsa_bits() const { return rep_->rsa_bits; }
const std::string& PublicKey::spki() const { return rep_->spki; }
const std::string& PublicKey::key_id_sha1() const { return rep_->key_id_sha1; }
EVP_PKEY* PublicKey::evp() const { return rep_->evp.get(); }

std::string PublicKey::Describe() const {
  if (const CurveFacts* curve = FindCurve(family())) return "EC " + std::string(curve->jwk_name);
  if (family() == KeyFamily::kRsa) return "RSA " + std::to_string(rsa_bits());
  return "Ed25519";
}

Status PublicKey::Verify(SignatureScheme scheme, std::string_view message,
                         std::string_view signature) const {
  TRY(CheckSchemeFits(scheme, *this));
  const SchemeFacts& facts = FactsOf(scheme);
  return VerdictOf(*this,
                   facts.kind == SignatureKind::kEd25519
                       ? VerifyMessage(evp(), message, signature)
                       : VerifyDigest(evp(), facts, PssSalt::kAsScheme, message, signature));
}

Status PublicKey::VerifyPssOfAnySalt(std::string_view message, std::string_view signature) const {
  constexpr SignatureScheme kScheme = SignatureScheme::kRsaPssSha256;
  TRY(CheckSchemeFits(kScheme, *this));
  return VerdictOf(*this, VerifyDigest(evp(), FactsOf(kScheme), PssSalt::kAny, message, signature));
}

SignatureScheme DefaultScheme(const PublicKey& key) {
  switch (key.family()) {
    case KeyFamily::kEcP256:
      return SignatureScheme::kEcdsaSha256;
    case KeyFamily::kEcP384:
      return SignatureScheme::kEcdsaSha384;
    case KeyFamily::kEcP521:
      return SignatureScheme::kEcdsaSha512;
    case KeyFamily::kRsa:
      return SignatureScheme::kRsaPkcs1Sha256;
    case KeyFamily::kEd25519:
      break;
  }
  return SignatureScheme::kEd25519;
}

}  // namespace writ
