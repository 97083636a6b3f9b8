// SPDX-License-Identifier: Apache-2.0
#include "core/crypto/signature.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>

#include <array>
#include <vector>

#include "core/crypto/der.h"
#include "core/crypto/digest_algorithms.h"
#include "core/crypto/oid.h"

namespace writ {
namespace {

// In the order of SignatureScheme, which indexes it.
constexpr std::array<SchemeFacts, 10> kSchemes = {{
    {SignatureScheme::kEcdsaSha256, SignatureKind::kEcdsa, 256, "ECDSA with SHA-256"},
    {SignatureScheme::kEcdsaSha384, SignatureKind::kEcdsa, 384, "ECDSA with SHA-384"},
    {SignatureScheme::kEcdsaSha512, SignatureKind::kEcdsa, 512, "ECDSA with SHA-512"},
    {SignatureScheme::kRsaPkcs1Sha256, SignatureKind::kRsaPkcs1, 256, "RSA PKCS#1 with SHA-256"},
    {SignatureScheme::kRsaPkcs1Sha384, SignatureKind::kRsaPkcs1, 384, "RSA PKCS#1 with SHA-384"},
    {SignatureScheme::kRsaPkcs1Sha512, SignatureKind::kRsaPkcs1, 512, "RSA PKCS#1 with SHA-512"},
    {SignatureScheme::kRsaPssSha256, SignatureKind::kRsaPss, 256, "RSA-PSS with SHA-256"},
    {SignatureScheme::kRsaPssSha384, SignatureKind::kRsaPss, 384, "RSA-PSS with SHA-384"},
    {SignatureScheme::kRsaPssSha512, SignatureKind::kRsaPss, 512, "RSA-PSS with SHA-512"},
    {SignatureScheme::kEd25519, SignatureKind::kEd25519, 0, "Ed25519"},
}};

enum class NullParameters { kWritten, kAbsent };

std::string_view DigestOid(const SchemeFacts& facts) {
  if (facts.digest_bits == 256) return oid::kSha256;
  return facts.digest_bits == 384 ? oid::kSha384 : oid::kSha512;
}

std::string_view EcdsaOid(const SchemeFacts& facts) {
  if (facts.digest_bits == 256) return oid::kEcdsaSha256;
  return facts.digest_bits == 384 ? oid::kEcdsaSha384 : oid::kEcdsaSha512;
}

std::string_view RsaPkcs1Oid(const SchemeFacts& facts) {
  if (facts.digest_bits == 256) return oid::kRsaSha256;
  return facts.digest_bits == 384 ? oid::kRsaSha384 : oid::kRsaSha512;
}

std::string SimpleAlgorithm(std::string_view name, NullParameters null) {
  DerWriter writer;
  writer.Nest(der::kSequence, [&] {
    writer.Oid(name);
    if (null == NullParameters::kWritten) writer.Null();
  });
  return writer.Take();
}

std::string PssAlgorithm(const SchemeFacts& facts, NullParameters null) {
  std::string digest = SimpleAlgorithm(DigestOid(facts), null);
  DerWriter writer;
  writer.Nest(der::kSequence, [&] {
    writer.Oid(oid::kRsaPss);
    writer.Nest(der::kSequence, [&] {
      writer.Nest(der::ContextConstructed(0), [&] { writer.Raw(digest); });
      writer.Nest(der::ContextConstructed(1), [&] {
        writer.Nest(der::kSequence, [&] {
          writer.Oid(oid::kMgf1);
          writer.Raw(digest);
        });
      });
      writer.Nest(der::ContextConstructed(2), [&] { writer.SmallInteger(facts.digest_bits / 8); });
    });
  });
  return writer.Take();
}

std::string WriteAlgorithm(const SchemeFacts& facts, NullParameters null) {
  switch (facts.kind) {
    case SignatureKind::kEcdsa:
      return SimpleAlgorithm(EcdsaOid(facts), NullParameters::kAbsent);
    case SignatureKind::kRsaPkcs1:
      return SimpleAlgorithm(RsaPkcs1Oid(facts), null);
    case SignatureKind::kRsaPss:
      return PssAlgorithm(facts, null);
    case SignatureKind::kEd25519:
      break;
  }
  return SimpleAlgorithm(oid::kEd25519, NullParameters::kAbsent);
}

// RFC 4055 section 2.1: digest parameters are written as NULL, and accepted when absent.
struct Algorithm {
  std::string written;
  std::string without_null;
};

const std::vector<Algorithm>& Algorithms() {
  static const std::vector<Algorithm> algorithms = [] {
    std::vector<Algorithm> all;
    for (const SchemeFacts& facts : kSchemes) {
      all.push_back({WriteAlgorithm(facts, NullParameters::kWritten),
                     WriteAlgorithm(facts, NullParameters::kAbsent)});
    }
    return all;
  }();
  return algorithms;
}

}  // namespace

const SchemeFacts& FactsOf(SignatureScheme scheme) {
  const SchemeFacts& facts = kSchemes[static_cast<size_t>(scheme)];
  CHECK(facts.scheme == scheme);
  return facts;
}

EVP_MD* DigestOf(const SchemeFacts& facts) {
  const DigestAlgorithms& digests = FetchedDigests();
  switch (facts.digest_bits) {
    case 256:
      return digests.sha256;
    case 384:
      return digests.sha384;
    case 512:
      return digests.sha512;
    default:
      return nullptr;
  }
}

Status CheckSchemeFits(SignatureScheme scheme, const PublicKey& key) {
  const SchemeFacts& facts = FactsOf(scheme);
  bool fits = false;
  switch (key.family()) {
    case KeyFamily::kEcP256:
    case KeyFamily::kEcP384:
    case KeyFamily::kEcP521:
      fits = facts.kind == SignatureKind::kEcdsa;
      break;
    case KeyFamily::kRsa:
      fits = facts.kind == SignatureKind::kRsaPkcs1 || facts.kind == SignatureKind::kRsaPss;
      break;
    case KeyFamily::kEd25519:
      fits = facts.kind == SignatureKind::kEd25519;
      break;
  }
  if (fits) return OkStatus();
  return InvalidArgument("signatures of " + std::string(facts.name) + " do not fit a key of " +
                         key.Describe());
}

const std::string& AlgorithmOfScheme(SignatureScheme scheme) {
  return Algorithms()[static_cast<size_t>(scheme)].written;
}

std::optional<SignatureScheme> SchemeOfAlgorithm(std::string_view algorithm_der) {
  const std::vector<Algorithm>& algorithms = Algorithms();
  for (size_t i = 0; i < algorithms.size(); ++i) {
    if (algorithm_der == algorithms[i].written || algorithm_der == algorithms[i].without_null) {
      return kSchemes[i].scheme;
    }
  }
  return std::nullopt;
}

bool ConfigureSignature(EVP_PKEY_CTX* context, const SchemeFacts& facts) {
  if (facts.kind != SignatureKind::kRsaPkcs1 && facts.kind != SignatureKind::kRsaPss) return true;
  bool pss = facts.kind == SignatureKind::kRsaPss;
  if (EVP_PKEY_CTX_set_rsa_padding(context, pss ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING) != 1 ||
      EVP_PKEY_CTX_set_signature_md(context, DigestOf(facts)) != 1) {
    return false;
  }
  return !pss || EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1;
}

}  // namespace writ
