// SPDX-License-Identifier: Apache-2.0
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/rsa.h>

#include <array>

#include "core/base/bytes.h"
#include "core/crypto/der.h"
#include "core/crypto/key.h"
#include "core/crypto/oid.h"
#include "core/crypto/openssl.h"
#include "core/crypto/pem.h"
#include "core/crypto/signature.h"
#include "core/crypto/spki.h"

namespace writ {
namespace {

using Pkcs8Ptr = std::unique_ptr<PKCS8_PRIV_KEY_INFO, OpensslFree<PKCS8_PRIV_KEY_INFO_free>>;

struct KeyTypeFacts {
  KeyType type;
  std::string_view name;
  const char* curve;  // null pointer for RSA
  unsigned rsa_bits;
};
// In the order of KeyType, which indexes it.
constexpr std::array<KeyTypeFacts, 4> kKeyTypes = {{
    {KeyType::kEcP256, "ec-p256", "P-256", 0},
    {KeyType::kEcP384, "ec-p384", "P-384", 0},
    {KeyType::kRsa2048, "rsa-2048", nullptr, 2048},
    {KeyType::kRsa4096, "rsa-4096", nullptr, 4096},
}};

const KeyTypeFacts& FactsOf(KeyType type) { return kKeyTypes[static_cast<size_t>(type)]; }

EvpPkeyCtxPtr NewEcGenerator(const char* curve) {
  EvpPkeyCtxPtr context(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
  if (!context || EVP_PKEY_keygen_init(context.get()) != 1 ||
      EVP_PKEY_CTX_set_group_name(context.get(), curve) != 1) {
    return nullptr;
  }
  return context;
}

EvpPkeyPtr GenerateEvp(const KeyTypeFacts& facts) {
  if (facts.curve == nullptr) return EvpPkeyPtr(EVP_RSA_gen(facts.rsa_bits));
  // Preparing a generator costs more than the key, so each thread keeps its own. It holds no key.
  thread_local std::array<EvpPkeyCtxPtr, kKeyTypes.size()> generators;
  EvpPkeyCtxPtr& generator = generators[static_cast<size_t>(facts.type)];
  if (!generator) generator = NewEcGenerator(facts.curve);
  EVP_PKEY* key = nullptr;
  if (!generator || EVP_PKEY_generate(generator.get(), &key) != 1) return nullptr;
  return EvpPkeyPtr(key);
}

// Null pointer when the key is not on one of the named curves.
const CurveFacts* CurveOf(EVP_PKEY* key) {
  char group[32];
  if (!EVP_PKEY_is_a(key, "EC") ||
      EVP_PKEY_get_group_name(key, group, sizeof group, nullptr) != 1) {
    return nullptr;
  }
  for (KeyFamily family : {KeyFamily::kEcP256, KeyFamily::kEcP384, KeyFamily::kEcP521}) {
    const CurveFacts* curve = FindCurve(family);
    if (OBJ_sn2nid(group) == EC_curve_nist2nid(curve->openssl_name)) return curve;
  }
  return nullptr;
}

Result<PublicKey> EcPublicHalf(EVP_PKEY* key, const CurveFacts& curve) {
  std::string point(1 + 2 * curve.coordinate_bytes, '\0');
  size_t size = 0;
  if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, AsUnsigned(point), point.size(),
                                      &size) != 1) {
    return OpensslFailure("read EC public key");
  }
  return PublicKey::FromSpki(MakeEcSpki(curve, std::string_view(point).substr(0, size)));
}

// EC by template: OpenSSL's encoder costs ten times that.
Result<PublicKey> PublicHalf(EVP_PKEY* key) {
  if (const CurveFacts* curve = CurveOf(key)) return EcPublicHalf(key, *curve);
  unsigned char* der = nullptr;
  int size = i2d_PUBKEY(key, &der);
  if (size <= 0) return OpensslFailure("encode public key");
  Result<PublicKey> result = PublicKey::FromSpki(
      std::string_view(reinterpret_cast<char*>(der), static_cast<size_t>(size)));
  OPENSSL_free(der);
  return result;
}

Result<std::string> SignDigest(EVP_PKEY* key, const SchemeFacts& facts, std::string_view message) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int digest_size = 0;
  CHECK(EVP_Digest(message.data(), message.size(), digest, &digest_size, DigestOf(facts),
                   nullptr) == 1);
  EvpPkeyCtxPtr context(EVP_PKEY_CTX_new(key, nullptr));
  std::string signature(static_cast<size_t>(EVP_PKEY_get_size(key)), '\0');
  size_t size = signature.size();
  if (!context || EVP_PKEY_sign_init(context.get()) != 1 ||
      !ConfigureSignature(context.get(), facts) ||
      EVP_PKEY_sign(context.get(), AsUnsigned(signature), &size, digest, digest_size) != 1) {
    return OpensslFailure("sign");
  }
  signature.resize(size);
  return signature;
}

Result<std::string> SignMessage(EVP_PKEY* key, std::string_view message) {
  EvpMdCtxPtr context(EVP_MD_CTX_new());
  std::string signature(static_cast<size_t>(EVP_PKEY_get_size(key)), '\0');
  size_t size = signature.size();
  if (!context || EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key) != 1 ||
      EVP_DigestSign(context.get(), AsUnsigned(signature), &size, AsUnsigned(message),
                     message.size()) != 1) {
    return OpensslFailure("sign");
  }
  signature.resize(size);
  return signature;
}

// RFC 5915 in RFC 5958: the template is written around a scalar of zeros, the scalar then put in
// place, so that no growing buffer leaves a copy of it behind.
Result<Secret> ExportEc(EVP_PKEY* key, const PublicKey& public_key, const CurveFacts& curve) {
  SpkiParts parts = TRY(ParseSpki(public_key.spki()));
  DerWriter tail;
  tail.Nest(der::ContextConstructed(1), [&] { tail.BitStringBytes(parts.key_bits); });
  DerWriter writer;
  writer.Nest(der::kSequence, [&] {
    writer.SmallInteger(0);
    writer.Nest(der::kSequence, [&] {
      writer.Oid(oid::kEcPublicKey);
      writer.Oid(curve.oid);
    });
    writer.Nest(der::kOctetString, [&] {
      writer.Nest(der::kSequence, [&] {
        writer.SmallInteger(1);
        writer.Element(der::kOctetString, std::string(curve.coordinate_bytes, '\0'));
        writer.Raw(tail.bytes());
      });
    });
  });
  std::string der = writer.Take();
  BIGNUM* scalar = nullptr;
  if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &scalar) != 1) {
    return OpensslFailure("read EC private key");
  }
  BignumPtr owned(scalar);
  size_t at = der.size() - tail.bytes().size() - curve.coordinate_bytes;
  CHECK(BN_bn2binpad(scalar, AsUnsigned(der) + at, static_cast<int>(curve.coordinate_bytes)) ==
        static_cast<int>(curve.coordinate_bytes));
  return Secret(std::move(der));
}

Result<Secret> ExportByOpenssl(EVP_PKEY* key) {
  Pkcs8Ptr info(EVP_PKEY2PKCS8(key));
  int size = info ? i2d_PKCS8_PRIV_KEY_INFO(info.get(), nullptr) : -1;
  if (size <= 0) return OpensslFailure("encode private key");
  std::string der(static_cast<size_t>(size), '\0');
  unsigned char* out = AsUnsigned(der);
  if (i2d_PKCS8_PRIV_KEY_INFO(info.get(), &out) != size) {
    Wipe(der.data(), der.size());
    return OpensslFailure("encode private key");
  }
  return Secret(std::move(der));
}

// OpenSSL's type of the keys in a PEM block that names the algorithm; EVP_PKEY_NONE for any other.
int TraditionalType(std::string_view label) {
  if (label == "RSA PRIVATE KEY") return EVP_PKEY_RSA;
  return label == "EC PRIVATE KEY" ? EVP_PKEY_EC : EVP_PKEY_NONE;
}

}  // namespace

Result<KeyType> ParseKeyType(std::string_view name) {
  for (const KeyTypeFacts& facts : kKeyTypes) {
    if (facts.name == name) return facts.type;
  }
  return InvalidArgument("unknown key type \"" + Printable(name) +
                         "\"; use ec-p256, ec-p384, rsa-2048 or rsa-4096");
}

std::string_view KeyTypeName(KeyType type) { return FactsOf(type).name; }

struct PrivateKey::Rep {
  EvpPkeyPtr evp;
  PublicKey public_key;
};

Result<PrivateKey> PrivateKey::Generate(KeyType type) {
  EvpPkeyPtr evp = GenerateEvp(FactsOf(type));
  if (!evp) return OpensslFailure("generate " + std::string(KeyTypeName(type)) + " key");
  PublicKey public_key = TRY(PublicHalf(evp.get()), "generate key");
  return PrivateKey(std::make_shared<const Rep>(Rep{std::move(evp), std::move(public_key)}));
}

Result<PrivateKey> PrivateKey::FromPkcs8(const Secret& der) {
  const unsigned char* at = AsUnsigned(der.Reveal());
  const unsigned char* end = at + der.size();
  Pkcs8Ptr info(d2i_PKCS8_PRIV_KEY_INFO(nullptr, &at, static_cast<long>(der.size())));
  EvpPkeyPtr evp(info && at == end ? EVP_PKCS82PKEY(info.get()) : nullptr);
  if (!evp) {
    ERR_clear_error();
    return InvalidArgument("not a PKCS#8 private key in DER");
  }
  return FromEvp(evp.release());
}

Result<PrivateKey> PrivateKey::FromEvp(EVP_PKEY* key) {
  EvpPkeyPtr evp(key);
  PublicKey public_key = TRY(PublicHalf(evp.get()), "private key's public half");
  // A file may hold halves that do not belong together.
  EvpPkeyCtxPtr check(EVP_PKEY_CTX_new(evp.get(), nullptr));
  if (!check || EVP_PKEY_pairwise_check(check.get()) != 1) {
    ERR_clear_error();
    return InvalidArgument("the private key does not match its public key");
  }
  return PrivateKey(std::make_shared<const Rep>(Rep{std::move(evp), std::move(public_key)}));
}

Result<PrivateKey> PrivateKey::FromPem(const Secret& pem) {
  for (PemBlock& block : TRY(PemDecode(pem.Reveal()))) {
    const Secret der(std::move(block.bytes));
    if (block.label == kPemPrivateKey) return FromPkcs8(der);
    const int type = TraditionalType(block.label);
    if (type == EVP_PKEY_NONE) continue;
    const unsigned char* at = AsUnsigned(der.Reveal());
    const unsigned char* end = at + der.size();
    EvpPkeyPtr evp(d2i_PrivateKey(type, nullptr, &at, static_cast<long>(der.size())));
    if (!evp || at != end) {
      ERR_clear_error();
      return InvalidArgument("the block \"" + block.label + "\" holds no private key in DER");
    }
    return FromEvp(evp.release());
  }
  return InvalidArgument(
      "the PEM text holds no unencrypted private key (PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE "
      "KEY)");
}

const PublicKey& PrivateKey::Public() const { return rep_->public_key; }

Result<std::string> PrivateKey::Sign(SignatureScheme scheme, std::string_view message) const {
  TRY(CheckSchemeFits(scheme, Public()));
  const SchemeFacts& facts = writ::FactsOf(scheme);
  if (facts.kind == SignatureKind::kEd25519) return SignMessage(rep_->evp.get(), message);
  return SignDigest(rep_->evp.get(), facts, message);
}

Result<Secret> PrivateKey::ExportPkcs8() const {
  if (const CurveFacts* curve = FindCurve(Public().family())) {
    return ExportEc(rep_->evp.get(), Public(), *curve);
  }
  return ExportByOpenssl(rep_->evp.get());
}

}  // namespace writ
