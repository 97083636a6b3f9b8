// SPDX-License-Identifier: Apache-2.0
//
// PublicKey: an immutable public key, parsed once. PrivateKey: a software private key, the inside
// of memory and disk key managers and of SVIDs that are handed to workloads.
//
// Trust: DER from others is hostile; the strict reader here takes exactly one encoding.
// Threads: PublicKey and PrivateKey are immutable and shared freely.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/base/secret.h"
#include "core/base/status.h"

typedef struct evp_pkey_st EVP_PKEY;

namespace writ {

// What Writ generates. Peers may hold others (Ed25519, P-521, other RSA sizes): X509-SVID restricts
// no key type.
enum class KeyType { kEcP256, kEcP384, kRsa2048, kRsa4096 };
Result<KeyType> ParseKeyType(std::string_view name);  // "ec-p256", "ec-p384", "rsa-2048", ...
std::string_view KeyTypeName(KeyType type);

// The family of any key that may come from a peer.
enum class KeyFamily { kEcP256, kEcP384, kEcP521, kRsa, kEd25519 };

enum class SignatureScheme {
  kEcdsaSha256,
  kEcdsaSha384,
  kEcdsaSha512,
  kRsaPkcs1Sha256,
  kRsaPkcs1Sha384,
  kRsaPkcs1Sha512,
  kRsaPssSha256,  // salt as long as the digest, MGF1 with the same digest
  kRsaPssSha384,
  kRsaPssSha512,
  kEd25519,
};

class PublicKey {
 public:
  // From a DER SubjectPublicKeyInfo. Refuses trailing bytes, points off the curve, RSA under 2048
  // or over 8192 bits, and unknown algorithms.
  static Result<PublicKey> FromSpki(std::string_view der);

  KeyFamily family() const;
  int rsa_bits() const;  // 0 when not RSA
  const std::string& spki() const;
  // SHA-1 of the subjectPublicKey bits (RFC 5280 section 4.2.1.2, method 1): the subject key ID.
  const std::string& key_id_sha1() const;
  // "EC P-256", "RSA 2048": for people.
  std::string Describe() const;

  // PermissionDenied when the signature does not match; InvalidArgument when the scheme does not
  // fit the key. ECDSA signatures in DER.
  Status Verify(SignatureScheme scheme, std::string_view message, std::string_view signature) const;
  // RSA-PSS with SHA-256 and a salt of any length: Go's signers take the longest that fits.
  Status VerifyPssOfAnySalt(std::string_view message, std::string_view signature) const;

  EVP_PKEY* evp() const;  // borrowed; for core/crypto and core/net

  friend bool operator==(const PublicKey& a, const PublicKey& b) { return a.spki() == b.spki(); }

 private:
  struct Rep;
  explicit PublicKey(std::shared_ptr<const Rep> rep) : rep_(std::move(rep)) {}
  std::shared_ptr<const Rep> rep_;
};

// The scheme that a key of this family signs certificates with by default.
SignatureScheme DefaultScheme(const PublicKey& key);

class PrivateKey {
 public:
  static Result<PrivateKey> Generate(KeyType type);
  static Result<PrivateKey> FromPkcs8(const Secret& der);
  // The first private key of a PEM text: PKCS#8, PKCS#1 (RSA) or SEC 1 (EC), unencrypted. Other
  // blocks are passed over.
  static Result<PrivateKey> FromPem(const Secret& pem);

  const PublicKey& Public() const;
  Result<std::string> Sign(SignatureScheme scheme, std::string_view message) const;
  // PKCS#8 DER, unencrypted: for the Workload API's answers and the disk key manager alone.
  Result<Secret> ExportPkcs8() const;

 private:
  struct Rep;
  static Result<PrivateKey> FromEvp(EVP_PKEY* evp);  // takes ownership
  explicit PrivateKey(std::shared_ptr<const Rep> rep) : rep_(std::move(rep)) {}
  std::shared_ptr<const Rep> rep_;
};

}  // namespace writ
