// SPDX-License-Identifier: Apache-2.0
//
// Distinguished names (RFC 5280 section 4.1.2.4): written from a Subject, read for people and for
// the common name. Inside core/crypto only.
//
// Trust: ParseName takes hostile bytes. Threads: free functions.
// Lifetime: attributes borrow from the DER.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/crypto/x509.h"

namespace writ {

struct NameAttribute {
  std::string_view oid;
  std::string_view value_der;  // a string element whose text is well formed
  size_t rdn;                  // attributes of one relative name share it
};

// A whole Name element.
Result<std::vector<NameAttribute>> ParseName(std::string_view der);

// The value as UTF-8.
std::string AttributeText(const NameAttribute& attribute);
// RFC 4514: the last relative name first.
std::string NameText(const std::vector<NameAttribute>& attributes);
// The last CN, or empty.
std::string CommonNameOf(const std::vector<NameAttribute>& attributes);

std::string WriteName(const Subject& subject);

}  // namespace writ
