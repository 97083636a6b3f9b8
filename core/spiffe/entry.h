// SPDX-License-Identifier: Apache-2.0
//
// Entry: a registration entry: which selectors, under which parent, earn which SPIFFE ID, and how
// its SVIDs look. The meaning of each field is SPIRE's.
// Threads: a value.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/spiffe/id.h"
#include "core/spiffe/selector.h"

namespace writ {

inline constexpr size_t kEntryIdBytesMax = 255;
inline constexpr size_t kHintBytesMax = 1024;
inline constexpr size_t kSelectorsMax = 1000;
inline constexpr size_t kDnsNamesMax = 1000;

struct Entry {
  std::string id;  // empty until the store gives one
  SpiffeId spiffe_id;
  SpiffeId parent_id;
  Selectors selectors;
  int32_t x509_ttl_seconds = 0;  // 0: the server's default
  int32_t jwt_ttl_seconds = 0;
  std::vector<std::string> federates_with;  // trust domain names, sorted
  bool admin = false;
  bool downstream = false;
  int64_t expires_at = 0;  // Unix seconds; 0: never
  std::vector<std::string> dns_names;  // in the caller's order: the first becomes the CN
  int64_t revision = 0;  // starts at 0, one more with each update
  bool store_svid = false;
  std::string hint;
  int64_t created_at = 0;  // Unix seconds
  bool has_additional_attributes = false;
  bool disable_x509_svid_prefetch = false;
  bool jwt_svid_include_jti = false;
  int64_t ordinal = 0;  // rises in the order of creation; the server's store sets it

  bool ExpiredAt(Time now) const { return expires_at != 0 && ToUnixSeconds(now) > expires_at; }
  // One that no process can match: the server's own, which names an agent (of a join token).
  bool ForNodes() const;
  friend bool operator==(const Entry&, const Entry&) = default;
};

// Whether a selector, of whatever type, names an agent: no attestor of processes gives such a one.
template <class AnySelector>
bool IsForNodes(const AnySelector& selector) {
  return selector.type == "spiffe_id";
}

// An entry ID chosen by a caller: 1 to 255 of [A-Za-z0-9-_.] .
Status ValidateEntryId(std::string_view id);
// ASCII without control characters, at most one '*' and only as the first label, no trailing dot,
// labels of 1 to 63 bytes; '_', spaces and '$' pass, as in SPIRE.
Status ValidateDnsName(std::string_view name);

}  // namespace writ
