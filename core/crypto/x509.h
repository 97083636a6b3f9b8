// SPDX-License-Identifier: Apache-2.0
//
// Certificate: an X.509 certificate, parsed once and immutable. CertificateTemplate and
// SignCertificate(): the to-be-signed DER is written by our own writer (about 3 us; OpenSSL's
// builders cost ten times the signature) and signed by any Signer. Differential tests hold the
// writer to OpenSSL.
//
// Implements RFC 5280 as X509-SVID (sections 2 to 4) narrows it.
// Trust: DER and PEM from others are hostile. Threads: values.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/random.h"
#include "core/base/status.h"
#include "core/crypto/key.h"
#include "core/crypto/signer.h"

typedef struct x509_st X509;

namespace writ {

// A serial number. Ours are 1 to 2^128-1; those of others have up to 20 bytes and may be zero.
class Serial {
 public:
  static Serial Generate(Random& random);
  static Result<Serial> FromBigEndian(std::string_view bytes);  // leading zeros are dropped
  static Result<Serial> FromDecimal(std::string_view text);
  std::string ToDecimal() const;                            // as SPIRE shows and stores them
  std::string ToHex() const;                                // lower case, even length
  const std::string& big_endian() const { return bytes_; }  // no leading zero byte
  friend bool operator==(const Serial&, const Serial&) = default;

 private:
  std::string bytes_;
};

// A distinguished name of the few attributes that Writ writes, each at most once, in this order.
struct Subject {
  std::string country;
  std::string organization;
  std::string organizational_unit;
  std::string common_name;
  std::string serial_number;
  friend bool operator==(const Subject&, const Subject&) = default;
};

// A DER Name with its common name replaced, or added at the end; an empty one removes it.
Result<std::string> WithCommonName(std::string_view name_der, std::string_view common_name);

struct CertificateTemplate {
  Serial serial;
  Subject subject;
  // When not empty, a DER Name that is used as it stands instead of `subject` (MintX509SVID).
  std::string subject_der;
  Time not_before;
  Time not_after;  // seconds resolution on the wire
  std::vector<std::string> uri_sans;
  std::vector<std::string> dns_sans;
  bool is_ca = false;
  // KeyUsage and EKU follow from is_ca: CA keyCertSign + cRLSign, no EKU; leaf digitalSignature +
  // keyEncipherment + keyAgreement with EKU serverAuth + clientAuth.
};

class Certificate;

// The signing side: the CA's name and key identifier. For a self-signed certificate use
// SignSelfSigned.
struct Issuer509 {
  std::string name_der;        // the CA certificate's subject, as it stands there
  std::string subject_key_id;  // becomes the AKI
  Signer* signer;              // borrowed
};

// DER of the signed certificate.
Result<std::string> SignCertificate(const CertificateTemplate& cert, const PublicKey& subject_key,
                                    const Issuer509& issuer);
Result<std::string> SignSelfSigned(const CertificateTemplate& cert, Signer& signer);

inline constexpr size_t kCertificateBytesMax = 64 << 10;
inline constexpr size_t kCertificatesMax = 1000;  // of one text or one run of DER
inline constexpr int kChainLengthMax = 10;        // from a leaf to its root
inline constexpr size_t kPathsMax = 32;           // from one leaf to roots

class Certificate {
 public:
  static Result<Certificate> FromDer(std::string_view der);  // refuses trailing bytes
  // What OpenSSL has parsed already (a TLS peer's); shares the object.
  static Result<Certificate> FromX509(X509* x509);
  // One or more concatenated DER certificates.
  static Result<std::vector<Certificate>> ChainFromDer(std::string_view der);
  // Every CERTIFICATE block of a PEM text; InvalidArgument when there is none or another block.
  static Result<std::vector<Certificate>> FromPem(std::string_view pem);

  const std::string& der() const;
  const Serial& serial() const;
  Time not_before() const;
  Time not_after() const;
  const PublicKey& public_key() const;
  const std::vector<std::string>& uri_sans() const;
  const std::vector<std::string>& dns_sans() const;
  const std::vector<std::string>& ip_sans() const;  // 4 or 16 bytes each
  const std::string& subject_der() const;
  const std::string& issuer_der() const;
  std::string SubjectText() const;  // "CN=a,O=b", RFC 4514
  std::string subject_common_name() const;
  const std::string& subject_key_id() const;    // empty when absent
  const std::string& authority_key_id() const;  // empty when absent
  bool is_ca() const;                           // basicConstraints
  bool has_key_usage() const;
  bool can_sign_certificates() const;  // keyUsage keyCertSign
  bool can_sign_crls() const;
  bool can_sign_digitally() const;
  bool self_signed() const;  // names equal and the signature verifies with its own key
  std::string ToPem() const;

  // Borrowed; for core/crypto and core/net. Made at the first call, because most certificates never
  // need it; null pointer when OpenSSL refuses what our reader took.
  X509* x509() const;
  friend bool operator==(const Certificate& a, const Certificate& b) { return a.der() == b.der(); }

 private:
  struct Rep;
  explicit Certificate(std::shared_ptr<const Rep> rep) : rep_(std::move(rep)) {}
  std::shared_ptr<const Rep> rep_;
};

// Path validation of RFC 5280 section 6 by OpenSSL against `roots`, at `now`, with the leaf first
// and intermediates in any order. Roots need not be self-signed (a path ends at any of them). Who
// signed is told by signatures: names and key identifiers only say where to look. Key usages and
// SPIFFE rules are the caller's (core/spiffe/svid.h). The verified path, leaf first, root last.
// PermissionDenied says which certificate failed and why.
Result<std::vector<Certificate>> VerifyChain(std::span<const Certificate> chain,
                                             std::span<const Certificate> roots, Time now);

// Every path that is valid, at least one and at most kPathsMax: there are several where
// authorities are cross-signed.
Result<std::vector<std::vector<Certificate>>> VerifyEveryPath(std::span<const Certificate> chain,
                                                              std::span<const Certificate> roots,
                                                              Time now);

}  // namespace writ
