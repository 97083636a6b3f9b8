// SPDX-License-Identifier: Apache-2.0
#include "core/spiffe/id.h"

#include "core/base/bytes.h"

namespace writ {
namespace {

constexpr std::string_view kScheme = "spiffe://";
constexpr std::string_view kReservedRoot = "/spire";
constexpr std::string_view kServerPath = "/spire/server";
constexpr std::string_view kAgentPrefix = "/spire/agent/";

bool IsLowerOrDigit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool IsMark(char c) { return c == '.' || c == '-' || c == '_'; }
bool IsTrustDomainChar(char c) { return IsLowerOrDigit(c) || IsMark(c); }
bool IsPathChar(char c) { return IsTrustDomainChar(c) || (c >= 'A' && c <= 'Z'); }

std::string Quoted(std::string_view text) { return "\"" + Printable(text) + "\""; }

Status ValidateTrustDomainName(std::string_view name) {
  if (name.empty()) {
    return InvalidArgument("trust domain is missing: expected a name such as \"example.org\"");
  }
  if (name.size() > kTrustDomainBytesMax) {
    return InvalidArgument("trust domain has " + std::to_string(name.size()) +
                           " bytes, more than the " + std::to_string(kTrustDomainBytesMax) +
                           " allowed");
  }
  for (size_t i = 0; i < name.size(); ++i) {
    if (IsTrustDomainChar(name[i])) continue;
    return InvalidArgument(
        "trust domain characters are limited to lowercase letters, numbers, dots, dashes, and "
        "underscores: " +
        Quoted(name) + " has " + Quoted(name.substr(i, 1)) + " at offset " + std::to_string(i));
  }
  return OkStatus();
}

Status CheckSize(std::string_view id) {
  if (id.size() <= kSpiffeIdBytesMax) return OkStatus();
  return InvalidArgument("SPIFFE ID has " + std::to_string(id.size()) + " bytes, more than the " +
                         std::to_string(kSpiffeIdBytesMax) + " allowed");
}

Status ValidateSegment(std::string_view segment, std::string_view path, bool last) {
  if (segment.empty()) {
    return InvalidArgument((last ? "path cannot have a trailing slash: "
                                 : "path cannot contain empty segments: ") +
                           Quoted(path));
  }
  if (segment == "." || segment == "..") {
    return InvalidArgument("path cannot contain dot segments: " + Quoted(path));
  }
  for (char c : segment) {
    if (IsPathChar(c)) continue;
    return InvalidArgument(
        "path segment characters are limited to letters, numbers, dots, dashes, and underscores: " +
        Quoted(segment) + " has " + Quoted(std::string_view(&c, 1)));
  }
  return OkStatus();
}

}  // namespace

Result<TrustDomain> TrustDomain::Parse(std::string_view name) {
  if (name.starts_with(kScheme)) {
    std::string_view host = name.substr(kScheme.size());
    if (host.find('/') != std::string_view::npos) {
      return InvalidArgument("expected a trust domain such as \"example.org\", got the SPIFFE ID " +
                             Quoted(name) + ": leave its path out");
    }
    name = host;
  }
  TRY(ValidateTrustDomainName(name));
  return TrustDomain(std::string(name));
}

Result<SpiffeId> SpiffeId::Parse(std::string_view text) {
  if (text.empty()) return InvalidArgument("SPIFFE ID is empty");
  TRY(CheckSize(text));
  if (!text.starts_with(kScheme)) {
    return InvalidArgument("scheme is missing or invalid: SPIFFE ID " + Quoted(text) +
                           " does not begin with \"spiffe://\" in lower case");
  }
  size_t path_at = std::min(text.find('/', kScheme.size()), text.size());
  TRY(ValidateTrustDomainName(text.substr(kScheme.size(), path_at - kScheme.size())),
      "SPIFFE ID " + Quoted(text));
  TRY(ValidatePath(text.substr(path_at)), "SPIFFE ID " + Quoted(text));
  return SpiffeId(std::string(text), path_at);
}

Result<SpiffeId> SpiffeId::FromPath(const TrustDomain& trust_domain, std::string_view path) {
  TRY(ValidatePath(path));
  std::string text(kScheme);
  text.reserve(kScheme.size() + trust_domain.name_.size() + path.size());
  text += trust_domain.name_;
  const size_t path_at = text.size();
  text += path;
  TRY(CheckSize(text));
  return SpiffeId(std::move(text), path_at);
}

std::string_view SpiffeId::trust_domain_name() const {
  return std::string_view(text_).substr(kScheme.size(), path_at_ - kScheme.size());
}

std::string_view SpiffeId::path() const { return std::string_view(text_).substr(path_at_); }

bool SpiffeId::IsReserved() const {
  const std::string_view own = path();
  return own.starts_with(kReservedRoot) &&
         (own.size() == kReservedRoot.size() || own[kReservedRoot.size()] == '/');
}

bool SpiffeId::IsServer() const { return path() == kServerPath; }

bool SpiffeId::IsAgent() const { return path().starts_with(kAgentPrefix); }

Status ValidatePath(std::string_view path) {
  if (path.empty()) return OkStatus();
  if (path.front() != '/') {
    return InvalidArgument("path must have a leading slash: " + Quoted(path));
  }
  for (size_t at = 1;;) {
    size_t end = path.find('/', at);
    bool last = end == std::string_view::npos;
    TRY(ValidateSegment(path.substr(at, last ? end : end - at), path, last));
    if (last) return OkStatus();
    at = end + 1;
  }
}

SpiffeId ServerId(const TrustDomain& td) {
  Result<SpiffeId> id = SpiffeId::FromPath(td, kServerPath);
  CHECK(id.ok());  // a valid trust domain and a valid path
  return std::move(id).value();
}

}  // namespace writ
