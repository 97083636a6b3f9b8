// SPDX-License-Identifier: Apache-2.0
//
// X.509 v3 extensions (RFC 5280 section 4.2) that certificates and signing requests share. Inside
// core/crypto only.
//
// Trust: the parsers take hostile bytes. Threads: free functions. Lifetime: extensions borrow.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/crypto/der.h"

namespace writ {

struct Extension {
  std::string_view oid;
  bool critical = false;
  std::string_view value;  // the DER within the OCTET STRING
};

// A whole Extensions element: at least one, none twice.
Result<std::vector<Extension>> ParseExtensions(std::string_view der);

enum class Criticality { kNonCritical, kCritical };

// Writes one Extension whose value is what `body(value_writer)` writes.
template <typename Body>
void WriteExtension(DerWriter& writer, std::string_view oid, Criticality criticality, Body body) {
  DerWriter value;
  body(value);
  writer.Nest(der::kSequence, [&] {
    writer.Oid(oid);
    if (criticality == Criticality::kCritical) writer.Boolean(true);
    writer.Element(der::kOctetString, value.bytes());
  });
}

// Alternative names of the two kinds that SPIFFE uses, and addresses, which are read but never
// written; the others are passed over.
struct AlternativeNames {
  std::vector<std::string> uris;
  std::vector<std::string> dns;
  std::vector<std::string> ips;  // 4 or 16 bytes each
};
Result<AlternativeNames> ParseAlternativeNames(std::string_view der);
// DNS names first, as Go's writer has them. InvalidArgument for text that is not ASCII.
Status CheckAlternativeNames(const AlternativeNames& names);
void WriteAlternativeNames(DerWriter& writer, const AlternativeNames& names,
                           Criticality criticality);

}  // namespace writ
