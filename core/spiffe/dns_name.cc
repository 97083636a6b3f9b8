// SPDX-License-Identifier: Apache-2.0
//
// ValidateDnsName: as lax as SPIRE's check about the characters inside a label (which is IDNA's
// without its mapping step) and as strict about everything else, but for two: control characters
// are refused, as a NUL or a line break in a certificate only ever served attackers; and what an
// "xn--" label decodes to is not held to IDNA's tables, which no reader of certificates follows.
#include <cstdint>
#include <limits>
#include <string>

#include "core/base/bytes.h"
#include "core/spiffe/entry.h"

namespace writ {
namespace {

constexpr size_t kDnsNameBytesMax = 253;
constexpr size_t kDnsLabelBytesMax = 63;
constexpr std::string_view kPunycodePrefix = "xn--";

Status Refuse(std::string_view name, std::string_view why) {
  return InvalidArgument(std::string(why) + ": \"" + Printable(name) + "\"");
}

int PunycodeDigit(char c) {
  if (c >= 'a' && c <= 'z') return c - 'a';
  if (c >= '0' && c <= '9') return c - '0' + 26;
  return -1;
}

// RFC 3492 section 6.1.
uint32_t PunycodeBias(uint32_t delta, uint32_t points, bool first) {
  delta = first ? delta / 700 : delta / 2;
  delta += delta / points;
  uint32_t k = 0;
  for (; delta > 35 * 26 / 2; k += 36) delta /= 35;
  return k + 36 * delta / (delta + 38);
}

// Whether a label without its "xn--" decodes (RFC 3492 section 6.2) to text that needed encoding:
// at least one code point, none of them ASCII, a surrogate or out of range.
bool IsPunycode(std::string_view text) {
  constexpr uint32_t kMax = std::numeric_limits<uint32_t>::max();
  size_t dash = text.rfind('-');
  uint32_t points = dash == std::string_view::npos ? 0 : static_cast<uint32_t>(dash);
  size_t at = dash == std::string_view::npos ? 0 : dash + 1;
  if (at == text.size()) return false;
  for (char c : text.substr(0, points)) {
    if (c >= 'A' && c <= 'Z') return false;
  }
  uint32_t code = 128, index = 0, bias = 72;
  for (bool first = true; at < text.size(); first = false) {
    uint32_t before = index, weight = 1;
    for (uint32_t k = 36;; k += 36) {
      if (at == text.size()) return false;
      int digit = PunycodeDigit(text[at++]);
      if (digit < 0 || static_cast<uint32_t>(digit) > (kMax - index) / weight) return false;
      index += static_cast<uint32_t>(digit) * weight;
      uint32_t threshold = k <= bias ? 1 : k >= bias + 26 ? 26 : k - bias;
      if (static_cast<uint32_t>(digit) < threshold) break;
      if (weight > kMax / (36 - threshold)) return false;
      weight *= 36 - threshold;
    }
    ++points;
    bias = PunycodeBias(index - before, points, first);
    if (index / points > kMax - code) return false;
    code += index / points;
    index = index % points + 1;
    if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff) || code < 0xa0) return false;
  }
  return true;
}

Status RefuseLabel(std::string_view name, const std::string& why) {
  return Refuse(name, "idna error: " + why);
}

Status ValidateLabel(std::string_view label, std::string_view name) {
  if (label.empty()) return RefuseLabel(name, "an empty label");
  if (label.size() > kDnsLabelBytesMax) return RefuseLabel(name, "a label of more than 63 bytes");
  if (label.front() == '-' || label.back() == '-') {
    return RefuseLabel(name, "a label that begins or ends with a hyphen");
  }
  if (label.starts_with(kPunycodePrefix)) {
    if (IsPunycode(label.substr(kPunycodePrefix.size()))) return OkStatus();
    return RefuseLabel(name, "a label with \"xn--\" that is no valid Punycode");
  }
  if (label.size() >= 4 && label.substr(2, 2) == "--") {
    return RefuseLabel(name, "a label with hyphens at its third and fourth place");
  }
  return OkStatus();
}

std::string_view TrimSpaces(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

}  // namespace

Status ValidateDnsName(std::string_view name) {
  size_t stars = 0;
  for (char c : name) {
    if (c < 0x20 || c == 0x7f) return Refuse(name, "name must be ascii without control characters");
    stars += c == '*';
  }
  if (stars > 1) return Refuse(name, "too many wildcards");
  std::string_view rest = name;
  if (stars == 1) {
    if (!name.starts_with("*.")) return Refuse(name, "wildcard must be first label");
    rest.remove_prefix(2);
  }
  rest = TrimSpaces(rest);
  if (rest.empty()) return Refuse(name, "empty or only whitespace");
  if (rest.ends_with('.')) return Refuse(name, "domain ends with dot");
  if (rest.size() > kDnsNameBytesMax) {
    return Refuse(name, "idna error: " + std::to_string(rest.size()) + " bytes, more than 253");
  }
  for (size_t at = 0;;) {
    size_t dot = rest.find('.', at);
    TRY(ValidateLabel(rest.substr(at, dot == rest.npos ? dot : dot - at), name));
    if (dot == rest.npos) return OkStatus();
    at = dot + 1;
  }
}

}  // namespace writ
