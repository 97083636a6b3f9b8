// SPDX-License-Identifier: Apache-2.0
#include "core/crypto/extension.h"

#include <algorithm>

#include "core/base/bytes.h"
#include "core/crypto/name.h"
#include "core/crypto/oid.h"

namespace writ {
namespace {

constexpr size_t kExtensionsMax = 64;
constexpr size_t kAlternativeNamesMax = 2000;

// GeneralName's kinds (RFC 5280 section 4.2.1.6) but for X.400 and EDI names, which nobody writes.
constexpr uint8_t kOtherName = der::ContextConstructed(0);
constexpr uint8_t kEmail = der::Context(1);
constexpr uint8_t kDns = der::Context(2);
constexpr uint8_t kDirectory = der::ContextConstructed(4);
constexpr uint8_t kUri = der::Context(6);
constexpr uint8_t kIpAddress = der::Context(7);
constexpr uint8_t kRegisteredId = der::Context(8);

// IA5String without the control bytes that no name has and that fool C programs and terminals.
bool IsPlainAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

Status CheckName(std::string_view kind, std::string_view text) {
  if (!text.empty() && IsPlainAscii(text)) return OkStatus();
  return InvalidArgument("the " + std::string(kind) + " name \"" + Printable(text) +
                         "\" must be ASCII text");
}

Status CheckOtherName(std::string_view content) {
  DerReader reader(content);
  TRY(reader.ReadOid());
  DerReader value = TRY(reader.Enter(der::ContextConstructed(0)));
  TRY(value.ReadAny());
  TRY(value.Finish());
  return reader.Finish();
}

// The kinds that are passed over must be well formed all the same.
Status CheckPassedOver(const DerElement& name) {
  switch (name.tag) {
    case kOtherName:
      return CheckOtherName(name.content);
    case kEmail:
      return CheckName("email", name.content);
    case kDirectory:
      return ParseName(name.content).status();
    case kRegisteredId:
      if (IsOidContent(name.content)) return OkStatus();
      return InvalidArgument("a broken registered ID");
    default:
      return InvalidArgument("an alternative name of unknown kind");
  }
}

}  // namespace

Result<std::vector<Extension>> ParseExtensions(std::string_view der) {
  DerReader outer(der);
  DerReader sequence = TRY(outer.Enter(der::kSequence), "extensions");
  TRY(outer.Finish(), "extensions");
  std::vector<Extension> extensions;
  do {
    DerReader reader = TRY(sequence.Enter(der::kSequence), "extension");
    Extension extension;
    extension.oid = TRY(reader.ReadOid(), "extension");
    // An explicit FALSE is no DER, but other issuers write it and every other reader takes it.
    if (reader.NextIs(der::kBoolean)) extension.critical = TRY(reader.ReadBoolean(), "extension");
    extension.value = TRY(reader.Read(der::kOctetString), "extension").content;
    TRY(reader.Finish(), "extension");
    for (const Extension& earlier : extensions) {
      if (earlier.oid == extension.oid) return InvalidArgument("an extension stands there twice");
    }
    if (extensions.size() == kExtensionsMax) {
      return InvalidArgument("more than " + std::to_string(kExtensionsMax) + " extensions");
    }
    extensions.push_back(extension);
  } while (!sequence.AtEnd());
  return extensions;
}

Result<AlternativeNames> ParseAlternativeNames(std::string_view der) {
  DerReader outer(der);
  DerReader sequence = TRY(outer.Enter(der::kSequence), "alternative names");
  TRY(outer.Finish(), "alternative names");
  AlternativeNames names;
  size_t count = 0;
  while (!sequence.AtEnd()) {
    if (++count > kAlternativeNamesMax) {
      return InvalidArgument("more than " + std::to_string(kAlternativeNamesMax) +
                             " alternative names");
    }
    DerElement name = TRY(sequence.ReadAny(), "alternative name");
    if (name.tag == kUri) {
      TRY(CheckName("URI", name.content));
      names.uris.emplace_back(name.content);
    } else if (name.tag == kDns) {
      TRY(CheckName("DNS", name.content));
      names.dns.emplace_back(name.content);
    } else if (name.tag == kIpAddress) {
      if (name.content.size() != 4 && name.content.size() != 16) {
        return InvalidArgument("alternative name: an IP address must have 4 or 16 bytes");
      }
      names.ips.emplace_back(name.content);
    } else {
      TRY(CheckPassedOver(name), "alternative name");
    }
  }
  return names;
}

Status CheckAlternativeNames(const AlternativeNames& names) {
  for (const std::string& dns : names.dns) TRY(CheckName("DNS", dns));
  for (const std::string& uri : names.uris) TRY(CheckName("URI", uri));
  return OkStatus();
}

void WriteAlternativeNames(DerWriter& writer, const AlternativeNames& names,
                           Criticality criticality) {
  WriteExtension(writer, oid::kSubjectAltName, criticality, [&](DerWriter& value) {
    value.Nest(der::kSequence, [&] {
      for (const std::string& dns : names.dns) value.Element(kDns, dns);
      for (const std::string& uri : names.uris) value.Element(kUri, uri);
    });
  });
}

}  // namespace writ
