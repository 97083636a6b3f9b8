// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <optional>

#include "core/base/bytes.h"
#include "core/crypto/der.h"
#include "core/crypto/extension.h"
#include "core/crypto/name.h"
#include "core/crypto/oid.h"
#include "core/crypto/openssl.h"
#include "core/crypto/pem.h"
#include "core/crypto/signature.h"
#include "core/crypto/signed.h"
#include "core/crypto/x509.h"

namespace writ {
namespace {

constexpr int kVersion2 = 1;
constexpr int kVersion3 = 2;

// Bits of the first byte of KeyUsage.
constexpr uint8_t kDigitalSignature = 0x80;
constexpr uint8_t kKeyCertSign = 0x04;
constexpr uint8_t kCrlSign = 0x02;

struct Fields {
  Serial serial;
  Time not_before;
  Time not_after;
  std::string_view algorithm;
  std::string_view issuer_der;
  std::string_view subject_der;
  std::optional<PublicKey> public_key;
  AlternativeNames names;
  std::string_view subject_key_id;
  std::string_view authority_key_id;
  bool is_ca = false;
  std::optional<uint8_t> key_usage;
};

Result<bool> ParseBasicConstraints(std::string_view der) {
  DerReader outer(der);
  DerReader reader = TRY(outer.Enter(der::kSequence));
  TRY(outer.Finish());
  bool is_ca = reader.NextIs(der::kBoolean) ? TRY(reader.ReadBoolean()) : false;
  if (reader.NextIs(der::kInteger)) TRY(reader.ReadUnsigned(), "path length");
  TRY(reader.Finish());
  return is_ca;
}

Result<uint8_t> ParseKeyUsage(std::string_view der) {
  DerReader reader(der);
  std::string_view content = TRY(reader.Read(der::kBitString)).content;
  TRY(reader.Finish());
  // The count of unused bits, then nine bits at most, the unused ones zero.
  size_t unused = content.empty() ? 8 : static_cast<uint8_t>(content[0]);
  bool no_bits = content.size() == 1 && unused == 0;
  if (no_bits) return uint8_t{0};
  if (content.size() < 2 || content.size() > 3 || unused > 7 ||
      (static_cast<uint8_t>(content.back()) & ((1u << unused) - 1)) != 0) {
    return InvalidArgument("a broken BIT STRING");
  }
  return static_cast<uint8_t>(content[1]);
}

Result<std::string_view> ParseSubjectKeyId(std::string_view der) {
  DerReader reader(der);
  std::string_view id = TRY(reader.Read(der::kOctetString)).content;
  TRY(reader.Finish());
  return id;
}

Result<std::string_view> ParseAuthorityKeyId(std::string_view der) {
  DerReader outer(der);
  DerReader reader = TRY(outer.Enter(der::kSequence));
  TRY(outer.Finish());
  std::optional<DerElement> id = TRY(reader.ReadOptional(der::Context(0)));
  // The issuer's name and serial may follow; key identifiers are what paths are built with.
  while (!reader.AtEnd()) TRY(reader.ReadAny());
  return id ? id->content : std::string_view();
}

Status ApplyExtension(const Extension& extension, Fields& fields) {
  if (extension.oid == oid::kSubjectAltName) {
    fields.names = TRY(ParseAlternativeNames(extension.value));
  } else if (extension.oid == oid::kBasicConstraints) {
    fields.is_ca = TRY(ParseBasicConstraints(extension.value), "basic constraints");
  } else if (extension.oid == oid::kKeyUsage) {
    fields.key_usage = TRY(ParseKeyUsage(extension.value), "key usage");
  } else if (extension.oid == oid::kSubjectKeyId) {
    fields.subject_key_id = TRY(ParseSubjectKeyId(extension.value), "subject key ID");
  } else if (extension.oid == oid::kAuthorityKeyId) {
    fields.authority_key_id = TRY(ParseAuthorityKeyId(extension.value), "authority key ID");
  }
  return OkStatus();
}

Result<int> ParseVersion(DerReader& reader) {
  if (!reader.NextIs(der::ContextConstructed(0))) return 0;
  DerReader inner = TRY(reader.Enter(der::ContextConstructed(0)));
  int version = TRY(inner.ReadSmallInteger());
  TRY(inner.Finish());
  if (version != kVersion2 && version != kVersion3) {
    return InvalidArgument("X.509 version " + std::to_string(version + 1) + " is not known");
  }
  return version;
}

Status ParseValidity(DerReader& reader, Fields& fields) {
  DerReader validity = TRY(reader.Enter(der::kSequence), "validity");
  fields.not_before = TRY(validity.ReadTime(), "not before");
  fields.not_after = TRY(validity.ReadTime(), "not after");
  return validity.Finish();
}

// What follows the public key: unique identifiers, which nobody uses, and the extensions.
Status ParseTail(DerReader& reader, int version, Fields& fields) {
  for (uint8_t number : {1, 2}) {
    if (version < kVersion2 || !reader.NextIs(der::Context(number))) continue;
    std::string_view bits = TRY(reader.ReadAny(), "unique identifier").content;
    if (bits.empty() || static_cast<uint8_t>(bits[0]) > 7) {
      return InvalidArgument("unique identifier: a broken BIT STRING");
    }
  }
  if (version == kVersion3 && reader.NextIs(der::ContextConstructed(3))) {
    DerReader wrapper = TRY(reader.Enter(der::ContextConstructed(3)));
    DerElement all = TRY(wrapper.ReadAny(), "extensions");
    TRY(wrapper.Finish(), "extensions");
    for (const Extension& extension : TRY(ParseExtensions(all.whole))) {
      TRY(ApplyExtension(extension, fields));
    }
  }
  return reader.Finish();
}

Result<Fields> ParseToBeSigned(std::string_view der) {
  DerReader outer(der);
  DerReader reader = TRY(outer.Enter(der::kSequence));
  Fields fields;
  int version = TRY(ParseVersion(reader), "version");
  fields.serial = TRY(Serial::FromBigEndian(TRY(reader.ReadUnsigned(), "serial number")));
  fields.algorithm = TRY(reader.Read(der::kSequence), "signature algorithm").whole;
  fields.issuer_der = TRY(reader.Read(der::kSequence), "issuer").whole;
  TRY(ParseName(fields.issuer_der), "issuer");
  TRY(ParseValidity(reader, fields));
  fields.subject_der = TRY(reader.Read(der::kSequence), "subject").whole;
  TRY(ParseName(fields.subject_der), "subject");
  fields.public_key =
      TRY(PublicKey::FromSpki(TRY(reader.Read(der::kSequence), "public key").whole));
  TRY(ParseTail(reader, version, fields));
  return fields;
}

}  // namespace

struct Certificate::Rep {
  Rep(std::string_view whole, const SignedParts& parts, Fields fields)
      : der(whole),
        to_be_signed_at(static_cast<size_t>(parts.to_be_signed.data() - whole.data())),
        to_be_signed_size(parts.to_be_signed.size()),
        scheme(SchemeOfAlgorithm(parts.algorithm)),
        signature(parts.signature),
        serial(std::move(fields.serial)),
        not_before(fields.not_before),
        not_after(fields.not_after),
        public_key(std::move(fields.public_key).value()),
        names(std::move(fields.names)),
        subject_der(fields.subject_der),
        issuer_der(fields.issuer_der),
        subject_key_id(fields.subject_key_id),
        authority_key_id(fields.authority_key_id),
        is_ca(fields.is_ca),
        key_usage(fields.key_usage) {}
  ~Rep() { X509_free(x509.load()); }

  bool HasUsage(uint8_t bit) const { return key_usage && (*key_usage & bit) != 0; }

  // Constant after construction, but for `x509`.
  const std::string der;
  const size_t to_be_signed_at;
  const size_t to_be_signed_size;
  const std::optional<SignatureScheme> scheme;  // nothing when unknown (old roots)
  const std::string signature;
  const Serial serial;
  const Time not_before;
  const Time not_after;
  const PublicKey public_key;
  const AlternativeNames names;
  const std::string subject_der;
  const std::string issuer_der;
  const std::string subject_key_id;
  const std::string authority_key_id;
  const bool is_ca;
  const std::optional<uint8_t> key_usage;
  mutable std::atomic<X509*> x509{nullptr};  // owned; set once, by whoever is first
};

Result<Certificate> Certificate::FromDer(std::string_view der) {
  if (der.size() > kCertificateBytesMax) {
    return InvalidArgument("a certificate of " + std::to_string(der.size()) + " bytes; at most " +
                           std::to_string(kCertificateBytesMax) + " are accepted");
  }
  SignedParts parts = TRY(ParseSigned(der), "certificate");
  Fields fields = TRY(ParseToBeSigned(parts.to_be_signed), "certificate");
  if (fields.algorithm != parts.algorithm) {
    return InvalidArgument("certificate: its two signature algorithms differ");
  }
  return Certificate(std::make_shared<const Rep>(der, parts, std::move(fields)));
}

Result<Certificate> Certificate::FromX509(X509* x509) {
  int size = i2d_X509(x509, nullptr);
  if (size <= 0) return OpensslFailure("encode certificate");
  std::string der(static_cast<size_t>(size), '\0');
  unsigned char* out = AsUnsigned(der);
  if (i2d_X509(x509, &out) != size) return OpensslFailure("encode certificate");
  Certificate certificate = TRY(FromDer(der));
  X509_up_ref(x509);
  certificate.rep_->x509 = x509;
  return certificate;
}

Result<std::vector<Certificate>> Certificate::ChainFromDer(std::string_view der) {
  std::vector<Certificate> chain;
  DerReader reader(der);
  do {
    std::string_view one = TRY(reader.Read(der::kSequence), "certificate").whole;
    if (chain.size() == kCertificatesMax) {
      return InvalidArgument("more than " + std::to_string(kCertificatesMax) + " certificates");
    }
    chain.push_back(TRY(FromDer(one)));
  } while (!reader.AtEnd());
  return chain;
}

Result<std::vector<Certificate>> Certificate::FromPem(std::string_view pem) {
  std::vector<Certificate> certificates;
  for (const PemBlock& block : TRY(PemDecode(pem))) {
    if (block.label != kPemCertificate) {
      return InvalidArgument("expected CERTIFICATE blocks in the PEM text, found a \"" +
                             Printable(block.label, 40) + "\" block");
    }
    if (certificates.size() == kCertificatesMax) {
      return InvalidArgument("more than " + std::to_string(kCertificatesMax) + " certificates");
    }
    certificates.push_back(TRY(FromDer(block.bytes)));
  }
  if (certificates.empty()) {
    return InvalidArgument("the PEM text holds no CERTIFICATE block");
  }
  return certificates;
}

const std::string& Certificate::der() const { return rep_->der; }
const Serial& Certificate::serial() const { return rep_->serial; }
Time Certificate::not_before() const { return rep_->not_before; }
Time Certificate::not_after() const { return rep_->not_after; }
const PublicKey& Certificate::public_key() const { return rep_->public_key; }
const std::vector<std::string>& Certificate::uri_sans() const { return rep_->names.uris; }
const std::vector<std::string>& Certificate::dns_sans() const { return rep_->names.dns; }
const std::vector<std::string>& Certificate::ip_sans() const { return rep_->names.ips; }
const std::string& Certificate::subject_der() const { return rep_->subject_der; }
const std::string& Certificate::issuer_der() const { return rep_->issuer_der; }
const std::string& Certificate::subject_key_id() const { return rep_->subject_key_id; }
const std::string& Certificate::authority_key_id() const { return rep_->authority_key_id; }
bool Certificate::is_ca() const { return rep_->is_ca; }
bool Certificate::has_key_usage() const { return rep_->key_usage.has_value(); }
bool Certificate::can_sign_certificates() const { return rep_->HasUsage(kKeyCertSign); }
bool Certificate::can_sign_crls() const { return rep_->HasUsage(kCrlSign); }
bool Certificate::can_sign_digitally() const { return rep_->HasUsage(kDigitalSignature); }
std::string Certificate::ToPem() const { return PemEncode(kPemCertificate, der()); }

std::string Certificate::SubjectText() const {
  Result<std::vector<NameAttribute>> attributes = ParseName(subject_der());
  CHECK(attributes.ok());
  return NameText(*attributes);
}

std::string Certificate::subject_common_name() const {
  Result<std::vector<NameAttribute>> attributes = ParseName(subject_der());
  CHECK(attributes.ok());
  return CommonNameOf(*attributes);
}

bool Certificate::self_signed() const {
  if (issuer_der() != subject_der() || !rep_->scheme) return false;
  std::string_view to_be_signed =
      std::string_view(der()).substr(rep_->to_be_signed_at, rep_->to_be_signed_size);
  return public_key().Verify(*rep_->scheme, to_be_signed, rep_->signature).ok();
}

X509* Certificate::x509() const {
  X509* x509 = rep_->x509.load(std::memory_order_acquire);
  if (x509 != nullptr) return x509;
  const unsigned char* at = AsUnsigned(der());
  X509Ptr made(d2i_X509(nullptr, &at, static_cast<long>(der().size())));
  if (!made) {
    ERR_clear_error();
    return nullptr;
  }
  // Another thread may have been faster: then its object stays.
  if (rep_->x509.compare_exchange_strong(x509, made.get())) x509 = made.release();
  return x509;
}

}  // namespace writ
