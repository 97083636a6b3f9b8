// SPDX-License-Identifier: Apache-2.0
#include "core/crypto/der.h"
#include "core/crypto/extension.h"
#include "core/crypto/name.h"
#include "core/crypto/oid.h"
#include "core/crypto/signature.h"
#include "core/crypto/signed.h"
#include "core/crypto/x509.h"

namespace writ {
namespace {

constexpr int kVersion3 = 2;
constexpr std::string_view kEmptyName("\x30\x00", 2);
// KeyUsage as a BIT STRING's content: the count of unused bits, then the bits.
constexpr std::string_view kCaKeyUsage = "\x01\x06";  // keyCertSign, cRLSign
// digitalSignature, keyEncipherment, keyAgreement
constexpr std::string_view kLeafKeyUsage = "\x03\xa8";

Status CheckTemplate(const CertificateTemplate& cert) {
  if (cert.serial.big_endian().empty()) {
    return InvalidArgument("the certificate's serial number is missing");
  }
  if (cert.not_after < cert.not_before) {
    return InvalidArgument("the certificate would end at " + FormatTime(cert.not_after) +
                           ", before it begins at " + FormatTime(cert.not_before));
  }
  if (!cert.subject_der.empty()) TRY(ParseName(cert.subject_der), "certificate subject");
  return CheckAlternativeNames({cert.uri_sans, cert.dns_sans});
}

void WriteUsages(DerWriter& writer, bool is_ca) {
  WriteExtension(writer, oid::kKeyUsage, Criticality::kCritical, [&](DerWriter& value) {
    value.Element(der::kBitString, is_ca ? kCaKeyUsage : kLeafKeyUsage);
  });
  if (!is_ca) {
    WriteExtension(writer, oid::kExtKeyUsage, Criticality::kNonCritical, [&](DerWriter& value) {
      value.Nest(der::kSequence, [&] {
        value.Oid(oid::kServerAuth);
        value.Oid(oid::kClientAuth);
      });
    });
  }
  WriteExtension(writer, oid::kBasicConstraints, Criticality::kCritical, [&](DerWriter& value) {
    value.Nest(der::kSequence, [&] {
      if (is_ca) value.Boolean(true);
    });
  });
}

void WriteKeyIds(DerWriter& writer, std::string_view subject_key_id,
                 std::string_view authority_key_id) {
  WriteExtension(writer, oid::kSubjectKeyId, Criticality::kNonCritical,
                 [&](DerWriter& value) { value.Element(der::kOctetString, subject_key_id); });
  if (authority_key_id.empty()) return;
  WriteExtension(writer, oid::kAuthorityKeyId, Criticality::kNonCritical, [&](DerWriter& value) {
    value.Nest(der::kSequence, [&] { value.Element(der::Context(0), authority_key_id); });
  });
}

// The extensions that Go's x509.CreateCertificate writes for SPIRE's templates, in its order.
void WriteExtensions(DerWriter& writer, const CertificateTemplate& cert,
                     std::string_view subject_der, const PublicKey& subject_key,
                     std::string_view authority_key_id) {
  WriteUsages(writer, cert.is_ca);
  WriteKeyIds(writer, subject_key.key_id_sha1(), authority_key_id);
  if (cert.uri_sans.empty() && cert.dns_sans.empty()) return;
  // RFC 5280 section 4.2.1.6: without a subject the alternative names are all there is.
  Criticality criticality =
      subject_der == kEmptyName ? Criticality::kCritical : Criticality::kNonCritical;
  WriteAlternativeNames(writer, {cert.uri_sans, cert.dns_sans}, criticality);
}

std::string SubjectDer(const CertificateTemplate& cert) {
  return cert.subject_der.empty() ? WriteName(cert.subject) : cert.subject_der;
}

std::string WriteToBeSigned(const CertificateTemplate& cert, const PublicKey& subject_key,
                            const Issuer509& issuer) {
  std::string subject_der = SubjectDer(cert);
  DerWriter writer;
  writer.Nest(der::kSequence, [&] {
    writer.Nest(der::ContextConstructed(0), [&] { writer.SmallInteger(kVersion3); });
    writer.Unsigned(cert.serial.big_endian());
    writer.Raw(AlgorithmOfScheme(DefaultScheme(issuer.signer->Public())));
    writer.Raw(issuer.name_der);
    writer.Nest(der::kSequence, [&] {
      writer.Timestamp(cert.not_before);
      writer.Timestamp(cert.not_after);
    });
    writer.Raw(subject_der);
    writer.Raw(subject_key.spki());
    writer.Nest(der::ContextConstructed(3), [&] {
      writer.Nest(der::kSequence, [&] {
        WriteExtensions(writer, cert, subject_der, subject_key, issuer.subject_key_id);
      });
    });
  });
  return writer.Take();
}

}  // namespace

Result<std::string> SignCertificate(const CertificateTemplate& cert, const PublicKey& subject_key,
                                    const Issuer509& issuer) {
  TRY(CheckTemplate(cert));
  return TRY(SignDer(WriteToBeSigned(cert, subject_key, issuer), *issuer.signer), "certificate");
}

Result<std::string> SignSelfSigned(const CertificateTemplate& cert, Signer& signer) {
  return SignCertificate(cert, signer.Public(), Issuer509{SubjectDer(cert), "", &signer});
}

}  // namespace writ
