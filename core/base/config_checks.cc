// SPDX-License-Identifier: Apache-2.0
#include "core/base/config_checks.h"

#include <charconv>
#include <cstdint>
#include <string>

#include "core/base/bytes.h"

namespace writ {
namespace {

constexpr size_t kHostBytesMax = 255;
constexpr size_t kUrlBytesMax = 2048;

Status Refuse(std::string_view expected, std::string_view text) {
  return InvalidArgument("must be " + std::string(expected) + ", and is `" + Printable(text, 128) +
                         "`");
}

bool AllOf(std::string_view text, std::string_view allowed) {
  return text.find_first_not_of(allowed) == std::string_view::npos;
}

constexpr std::string_view kNameCharacters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";

struct HostPort {
  std::string_view host;
  uint16_t port = 0;
};

// False when the text is no "host:port". A host may be empty.
bool SplitHostPort(std::string_view text, HostPort* parts) {
  size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return false;
  parts->host = text.substr(0, colon);
  std::string_view port = text.substr(colon + 1);
  auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), parts->port);
  if (error != std::errc() || end != port.data() + port.size()) return false;
  std::string_view host = parts->host;
  if (host.size() > kHostBytesMax) return false;
  if (host.starts_with('[')) {
    // Shortest is [::]; the zone behind a % may have any name.
    std::string_view inside = host.substr(1, host.size() - 2);
    std::string_view number = inside.substr(0, inside.find('%'));
    return host.size() >= 4 && host.ends_with(']') && AllOf(number, "0123456789abcdefABCDEF:.") &&
           number.find(':') != number.npos &&
           (number.size() == inside.size() ||
            AllOf(inside.substr(number.size() + 1), kNameCharacters));
  }
  return AllOf(host, kNameCharacters);
}

}  // namespace

TextCheck EmptyOr(TextCheck check) {
  return [check = std::move(check)](std::string_view text) {
    return text.empty() ? OkStatus() : check(text);
  };
}

Status CheckAbsolutePath(std::string_view text) {
  if (!text.starts_with('/')) return Refuse("an absolute path", text);
  std::string padded = std::string(text) + "/";
  if (padded.find("/../") != padded.npos || padded.find("/./") != padded.npos) {
    return Refuse("a path without . and .. segments", text);
  }
  if (text.ends_with('/')) return Refuse("a path that does not end in /", text);
  return OkStatus();
}

Status CheckSocketPath(std::string_view text) {
  TRY(CheckAbsolutePath(text));
  if (text.size() <= kSocketPathBytesMax) return OkStatus();
  return InvalidArgument("must have at most " + std::to_string(kSocketPathBytesMax) +
                         " bytes, as every Unix socket's path, and has " +
                         std::to_string(text.size()));
}

Status CheckListenAddress(std::string_view text) {
  HostPort parts;
  if (SplitHostPort(text, &parts)) return OkStatus();
  return Refuse("an address like 0.0.0.0:8081 or [::1]:8081", text);
}

Status CheckServerAddress(std::string_view text) {
  HostPort parts;
  if (SplitHostPort(text, &parts) && !parts.host.empty() && parts.port != 0) return OkStatus();
  return Refuse("an address like writ-server:8081", text);
}

Status CheckHttpsUrl(std::string_view text) {
  constexpr std::string_view kScheme = "https://";
  constexpr std::string_view kExpected = "a URL like https://host/path";
  if (!text.starts_with(kScheme) || text.size() > kUrlBytesMax) return Refuse(kExpected, text);
  std::string_view rest = text.substr(kScheme.size());
  std::string_view authority = rest.substr(0, rest.find_first_of("/?"));
  // Whatever has no port of its own gets the scheme's for this check.
  std::string address(authority);
  bool has_port = authority.rfind(':') != std::string_view::npos && !authority.ends_with(']');
  if (!has_port) address += ":443";
  TRY(CheckServerAddress(address).ok() ? OkStatus() : Refuse(kExpected, text));
  for (char c : rest) {
    if (c <= ' ' || c == 0x7f || c == '#') return Refuse("a URL without spaces and fragment", text);
  }
  return OkStatus();
}

Status CheckSha256(std::string_view text) {
  if (text.size() == 64 && AllOf(text, "0123456789abcdef")) return OkStatus();
  return Refuse("a SHA-256 digest, 64 hex digits in lower case", text);
}

}  // namespace writ
