// SPDX-License-Identifier: Apache-2.0
//
// TrustDomain and SpiffeId: made only by Parse, so a value in hand is a valid one.
// Implements SPIFFE-ID sections 2.1 to 2.4, to the letter: an uppercase scheme or trust domain is
// refused, as are ports, user info, queries, fragments, empty and dot segments and percent
// encoding.
//
// Trust: Parse takes hostile text. Threads: values.
#pragma once

#include <compare>
#include <functional>
#include <string>
#include <string_view>

#include "core/base/status.h"

namespace writ {

inline constexpr size_t kTrustDomainBytesMax = 255;
inline constexpr size_t kSpiffeIdBytesMax = 2048;

class TrustDomain {
 public:
  // "example.org" or "spiffe://example.org"; a SPIFFE ID with a path is refused.
  static Result<TrustDomain> Parse(std::string_view name);

  const std::string& name() const { return name_; }
  std::string id() const { return "spiffe://" + name_; }
  auto operator<=>(const TrustDomain&) const = default;

 private:
  friend class SpiffeId;
  explicit TrustDomain(std::string name) : name_(std::move(name)) {}
  std::string name_;
};

class SpiffeId {
 public:
  static Result<SpiffeId> Parse(std::string_view text);
  // `path` is empty or begins with '/'.
  static Result<SpiffeId> FromPath(const TrustDomain& trust_domain, std::string_view path);

  const std::string& text() const { return text_; }
  std::string_view trust_domain_name() const;
  TrustDomain trust_domain() const { return TrustDomain(std::string(trust_domain_name())); }
  std::string_view path() const;  // empty, or begins with '/'
  bool MemberOf(const TrustDomain& td) const { return trust_domain_name() == td.name(); }

  // SPIRE's reserved paths (facts of the wire).
  bool IsReserved() const;   // path is /spire or below
  bool IsServer() const;     // path is /spire/server
  bool IsAgent() const;      // path is below /spire/agent/

  auto operator<=>(const SpiffeId&) const = default;

 private:
  explicit SpiffeId(std::string text, size_t path_at) : text_(std::move(text)), path_at_(path_at) {}
  std::string text_;
  size_t path_at_ = 0;
};

// InvalidArgument names the offending character or segment. `path` is empty or begins with '/'.
Status ValidatePath(std::string_view path);

SpiffeId ServerId(const TrustDomain& td);  // spiffe://<td>/spire/server

}  // namespace writ

template <>
struct std::hash<writ::SpiffeId> {
  size_t operator()(const writ::SpiffeId& id) const { return std::hash<std::string>()(id.text()); }
};
template <>
struct std::hash<writ::TrustDomain> {
  size_t operator()(const writ::TrustDomain& td) const {
    return std::hash<std::string>()(td.name());
  }
};
