// SPDX-License-Identifier: Apache-2.0
#include "server/ca/x509_ca.h"

#include <span>

#include "core/spiffe/svid.h"

namespace writ {
namespace {

constexpr Duration kBackdate = std::chrono::seconds(10);

Status Verify(const Certificate& certificate, const CertificateTemplate& wanted,
              const X509CaTemplate& ca, const PublicKey& key) {
  TRY(CheckX509Ca(certificate, ca.trust_domain, key));
  if (!certificate.self_signed()) return Internal("it is not signed by its own key");
  if (certificate.serial() != wanted.serial || certificate.not_before() != wanted.not_before ||
      certificate.not_after() != wanted.not_after || certificate.uri_sans() != wanted.uri_sans ||
      certificate.subject_key_id() != key.key_id_sha1() || !certificate.can_sign_crls()) {
    return Internal("it does not say what it was asked to say");
  }
  std::span<const Certificate> alone(&certificate, 1);
  TRY(VerifyChain(alone, alone, ca.issued_at));
  return OkStatus();
}

}  // namespace

Result<Certificate> MakeX509Ca(const X509CaTemplate& ca, Signer& signer, Random& random) {
  CertificateTemplate wanted;
  wanted.serial = Serial::Generate(random);
  wanted.subject = ca.subject;
  wanted.subject.serial_number = wanted.serial.ToDecimal();
  wanted.not_before = ca.issued_at - kBackdate;
  wanted.not_after = ca.issued_at + ca.ttl;
  wanted.uri_sans = {ca.trust_domain.id()};
  wanted.is_ca = true;
  std::string der = TRY(SignSelfSigned(wanted, signer), "sign CA certificate");
  Certificate certificate = TRY(Certificate::FromDer(der), "read back the new CA certificate");
  TRY(Verify(certificate, wanted, ca, signer.Public()), "verify the new CA certificate");
  return certificate;
}

Status CheckX509Ca(const Certificate& certificate, const TrustDomain& td, const PublicKey& key) {
  TRY(CheckX509Authority(certificate, td));
  if (certificate.public_key() != key) return FailedPrecondition("it is for another key");
  return OkStatus();
}

}  // namespace writ
