// SPDX-License-Identifier: Apache-2.0
#include "attestors/x509pop/evidence.h"

#include <arpa/inet.h>

#include <algorithm>
#include <utility>

#include "attestors/x509pop/x509pop.h"
#include "core/base/bytes.h"
#include "core/crypto/digest.h"

namespace writ {
namespace {

constexpr std::string_view kMappedPrefix("\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
constexpr size_t kIpv4Bytes = 4;
constexpr size_t kIpv6Bytes = 16;

Result<std::string> PercentDecode(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    std::string octet = TRY(HexDecode(text.substr(i + 1, 2)), "percent encoding");
    if (octet.empty()) return InvalidArgument("percent encoding: the text ends in %");
    decoded += octet;
    i += 2;
  }
  return decoded;
}

std::string_view TrimSlashes(std::string_view text) {
  while (text.starts_with('/')) text.remove_prefix(1);
  while (text.ends_with('/')) text.remove_suffix(1);
  return text;
}

// Selectors are UTF-8 on the wire, and are read by people and terminals.
Status CheckSelectorText(const std::string& text) {
  bool plain = std::ranges::none_of(
      text, [](char c) { return static_cast<uint8_t>(c) < 0x20 || c == 0x7f; });
  if (plain && IsUtf8(text)) return OkStatus();
  return InvalidArgument("the certificate's \"" + Printable(text) +
                         "\" cannot be a selector: it is not plain text in UTF-8");
}

// An IPv4 address as 4 bytes, whichever way it is written; others as 16.
std::string Unmapped(std::string bytes) {
  if (bytes.size() == kIpv6Bytes && bytes.starts_with(kMappedPrefix)) {
    bytes.erase(0, kMappedPrefix.size());
  }
  return bytes;
}

Result<std::string> AddressBytes(const std::string& address) {
  std::string bytes(kIpv6Bytes, '\0');
  if (inet_pton(AF_INET6, address.c_str(), bytes.data()) == 1) return Unmapped(std::move(bytes));
  bytes.resize(kIpv4Bytes);
  if (inet_pton(AF_INET, address.c_str(), bytes.data()) == 1) return bytes;
  return Internal("client IP not available for verification: it is not known where the node calls "
                  "from, and verify_client_ip compares that with the certificate's IP SANs");
}

}  // namespace

Result<std::map<std::string, std::string, std::less<>>> SanSelectorsOf(const Certificate& leaf,
                                                                       const TrustDomain& td) {
  const std::string prefix = std::string(kSanScheme) + "://" + td.name() + "/";
  std::map<std::string, std::string, std::less<>> selectors;
  for (std::string_view uri : leaf.uri_sans()) {
    if (!uri.starts_with(prefix)) continue;
    uri.remove_prefix(prefix.size());
    std::string path = TRY(PercentDecode(uri.substr(0, uri.find_first_of("?#"))), "x509pop SAN");
    std::string_view trimmed = TrimSlashes(path);
    size_t slash = trimmed.find('/');
    if (slash == std::string_view::npos) continue;
    selectors[std::string(trimmed.substr(0, slash))] = trimmed.substr(slash + 1);
  }
  return selectors;
}

Result<PathFacts> PathFactsOf(const Certificate& leaf, const TrustDomain& td,
                              std::string_view svid_path_trimmed) {
  PathFacts facts{.plugin_name = std::string(kX509PopType),
                  .trust_domain = td.name(),
                  .fingerprint = HexEncode(Sha1(leaf.der())),
                  .serial_number_hex = leaf.serial().ToHex(),
                  .svid_path_trimmed = std::string(svid_path_trimmed),
                  .common_name = leaf.subject_common_name()};
  facts.san_selectors = TRY(SanSelectorsOf(leaf, td));
  return facts;
}

Result<Selectors> PopSelectorsOf(const Certificate& leaf,
                                 std::span<const Certificate> authorities, const PathFacts& facts) {
  std::vector<std::string> values = {"serialnumber:" + leaf.serial().ToHex()};
  if (!facts.common_name.empty()) values.push_back("subject:cn:" + facts.common_name);
  for (const Certificate& authority : authorities) {
    values.push_back("ca:fingerprint:" + HexEncode(Sha1(authority.der())));
  }
  for (const auto& [key, value] : facts.san_selectors) {
    values.push_back("san:" + key + ":" + value);
  }
  std::vector<Selector> selectors;
  for (const std::string& value : values) {
    TRY(CheckSelectorText(value));
    selectors.push_back(TRY(Selector::Make(kX509PopType, value)));
  }
  return Selectors(std::move(selectors));
}

Status CheckClientAddress(const Certificate& leaf, const std::string& address) {
  const std::string wanted = TRY(AddressBytes(address));
  for (const std::string& ip : leaf.ip_sans()) {
    if (Unmapped(ip) == wanted) return OkStatus();
  }
  return PermissionDenied("client IP " + address + " does not match any certificate IP SAN");
}

}  // namespace writ
