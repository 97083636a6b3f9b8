// SPDX-License-Identifier: Apache-2.0
#include "core/crypto/csr.h"

#include <optional>

#include "core/crypto/der.h"
#include "core/crypto/extension.h"
#include "core/crypto/name.h"
#include "core/crypto/oid.h"
#include "core/crypto/signature.h"
#include "core/crypto/signed.h"

namespace writ {
namespace {

// The attributes of a request: extensions are asked for in at most one of them, the others
// (challenge passwords and the like) are passed over.
Result<AlternativeNames> ParseAttributes(DerReader attributes) {
  AlternativeNames names;
  bool seen = false;
  while (!attributes.AtEnd()) {
    DerReader attribute = TRY(attributes.Enter(der::kSequence));
    std::string_view type = TRY(attribute.ReadOid());
    DerReader values = TRY(attribute.Enter(der::kSet));
    TRY(attribute.Finish());
    if (type != oid::kExtensionRequest) {
      do {
        TRY(values.ReadAny());
      } while (!values.AtEnd());
      continue;
    }
    if (seen) return InvalidArgument("extensions are requested twice");
    seen = true;
    DerElement all = TRY(values.ReadAny(), "requested extensions");
    TRY(values.Finish(), "requested extensions");
    for (const Extension& extension : TRY(ParseExtensions(all.whole))) {
      if (extension.oid != oid::kSubjectAltName) continue;
      names = TRY(ParseAlternativeNames(extension.value));
    }
  }
  return names;
}

Result<Csr> ParseInfo(std::string_view der) {
  DerReader outer(der);
  DerReader info = TRY(outer.Enter(der::kSequence));
  int version = TRY(info.ReadSmallInteger(), "version");
  if (version != 0) return InvalidArgument("its version must be 0");
  std::string_view subject = TRY(info.Read(der::kSequence), "subject").whole;
  std::vector<NameAttribute> attributes = TRY(ParseName(subject), "subject");
  std::string_view spki = TRY(info.Read(der::kSequence), "public key").whole;
  PublicKey key = TRY(PublicKey::FromSpki(spki));
  DerReader requested = TRY(info.Enter(der::ContextConstructed(0)), "attributes");
  AlternativeNames names = TRY(ParseAttributes(requested), "attributes");
  TRY(info.Finish());
  return Csr{std::move(key), std::string(subject), CommonNameOf(attributes), std::move(names.uris),
             std::move(names.dns)};
}

std::string WriteInfo(const CsrTemplate& request, const PublicKey& key) {
  DerWriter writer;
  writer.Nest(der::kSequence, [&] {
    writer.SmallInteger(0);
    writer.Raw(WriteName(request.subject));
    writer.Raw(key.spki());
    writer.Nest(der::ContextConstructed(0), [&] {
      if (request.uri_sans.empty() && request.dns_sans.empty()) return;
      writer.Nest(der::kSequence, [&] {
        writer.Oid(oid::kExtensionRequest);
        writer.Nest(der::kSet, [&] {
          writer.Nest(der::kSequence, [&] {
            WriteAlternativeNames(writer, {request.uri_sans, request.dns_sans},
                                  Criticality::kNonCritical);
          });
        });
      });
    });
  });
  return writer.Take();
}

Status CheckSignature(const SignedParts& parts, const PublicKey& key) {
  std::optional<SignatureScheme> scheme = SchemeOfAlgorithm(parts.algorithm);
  if (!scheme) {
    return InvalidArgument(
        "its algorithm is not known; use ECDSA, RSA or RSA-PSS with SHA-2, or Ed25519");
  }
  Status verdict = key.Verify(*scheme, parts.to_be_signed, parts.signature);
  return verdict.ok() ? OkStatus() : InvalidArgument(verdict.message());
}

}  // namespace

Result<Csr> ParseCsr(std::string_view der, const CsrTexts& texts) {
  if (der.size() > kCsrBytesMax) {
    return InvalidArgument(std::string(texts.malformed) + ": it has " + std::to_string(der.size()) +
                           " bytes; at most " + std::to_string(kCsrBytesMax) + " are accepted");
  }
  SignedParts parts = TRY(ParseSigned(der), texts.malformed);
  Csr csr = TRY(ParseInfo(parts.to_be_signed), texts.malformed);
  TRY(CheckSignature(parts, csr.key), texts.forged);
  return csr;
}

Result<std::string> MakeCsr(const CsrTemplate& request, Signer& signer) {
  TRY(CheckAlternativeNames({request.uri_sans, request.dns_sans}));
  return TRY(SignDer(WriteInfo(request, signer.Public()), signer), "CSR");
}

}  // namespace writ
