// SPDX-License-Identifier: Apache-2.0
#include "core/net/proxy_header.h"

#include <array>
#include <charconv>
#include <string>
#include <utility>

namespace writ {
namespace {

using State = ProxyHeader::State;

constexpr std::string_view kV1Begin = "PROXY ";
constexpr std::string_view kLineEnd = "\r\n";
constexpr size_t kV1BytesMax = 107;  // the protocol's own limit, with the line's end
constexpr std::string_view kV2Begin("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr size_t kV2FixedBytes = 16;  // with version and command, family, length

Status Malformed(const std::string& why) {
  return InvalidArgument("the PROXY header is malformed: " + why);
}

bool IsPort(std::string_view text) {
  unsigned port = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  bool canonical = text == "0" || !text.starts_with('0');
  return error == std::errc() && end == text.data() + text.size() && port <= 65535 && canonical;
}

Result<IpAddress> AddressOf(std::string_view text, bool v4) {
  Result<IpAddress> address = IpAddress::Parse(text);
  if (!address.ok() || (text.find(':') == std::string_view::npos) != v4) {
    return Malformed("an address is not of the family that it names");
  }
  return address;
}

// What stands between the spaces of "TCP4 192.0.2.1 198.51.100.1 56324 443".
Result<std::array<std::string_view, 5>> Words(std::string_view line) {
  std::array<std::string_view, 5> words;
  for (size_t i = 0; i < words.size(); ++i) {
    size_t space = line.find(' ');
    bool last = i + 1 == words.size();
    if ((space == std::string_view::npos) != last) {
      return Malformed("expected a family, two addresses and two ports, each after one space");
    }
    words[i] = line.substr(0, space);
    if (!last) line.remove_prefix(space + 1);
  }
  return words;
}

Result<ProxyHeader> ParseV1(std::string_view begin) {
  std::string_view possible = begin.substr(0, kV1BytesMax);
  size_t end = possible.find(kLineEnd);
  if (end == std::string_view::npos) {
    if (possible.size() < kV1BytesMax) return ProxyHeader{.state = State::kPartial};
    return Malformed("its line does not end within " + std::to_string(kV1BytesMax) + " bytes");
  }
  ProxyHeader header{.state = State::kWhole, .bytes = end + kLineEnd.size()};
  std::string_view line = begin.substr(0, end).substr(kV1Begin.size());
  if (line == "UNKNOWN" || line.starts_with("UNKNOWN ")) return header;
  std::array<std::string_view, 5> words = TRY(Words(line));
  bool v4 = words[0] == "TCP4";
  if (!v4 && words[0] != "TCP6") return Malformed("its family is not TCP4, TCP6 or UNKNOWN");
  header.source = TRY(AddressOf(words[1], v4));
  TRY(AddressOf(words[2], v4));
  if (!IsPort(words[3]) || !IsPort(words[4])) return Malformed("a port is not 0 to 65535");
  return header;
}

Result<ProxyHeader> ParseV2(std::string_view begin) {
  if (begin.size() < kV2FixedBytes) return ProxyHeader{.state = State::kPartial};
  auto byte = [&](size_t i) { return static_cast<unsigned char>(begin[i]); };
  constexpr unsigned char kLocal = 0x20;  // version 2 and the command
  constexpr unsigned char kProxy = 0x21;
  unsigned char command = byte(12);
  if (command != kLocal && command != kProxy) {
    return Malformed("expected version 2 and the command LOCAL or PROXY");
  }
  size_t payload = static_cast<size_t>(byte(14)) << 8 | byte(15);
  ProxyHeader header{.state = State::kWhole, .bytes = kV2FixedBytes + payload};
  if (header.bytes > ProxyHeader::kBytesMax) {
    return Malformed("it has " + std::to_string(header.bytes) + " bytes; at most " +
                     std::to_string(ProxyHeader::kBytesMax) + " are accepted");
  }
  constexpr unsigned char kUnspecified = 0x0;  // the family, the high half of byte 13
  constexpr unsigned char kInet = 0x1;
  constexpr unsigned char kInet6 = 0x2;
  constexpr unsigned char kUnix = 0x3;
  unsigned char family = byte(13) >> 4;
  if (family > kUnix || (byte(13) & 0xf) > 2) return Malformed("its address family is unknown");
  // Two addresses and two ports.
  size_t address_bytes = family == kInet ? 4 : family == kInet6 ? 16 : 0;
  if (command == kProxy && payload < (address_bytes == 0 ? 0 : 2 * address_bytes + 4)) {
    return Malformed("it is too short for its addresses");
  }
  if (begin.size() < header.bytes) return ProxyHeader{.state = State::kPartial};
  if (command == kLocal || family == kUnspecified || family == kUnix) return header;
  header.source = IpAddress::FromBytes(begin.substr(kV2FixedBytes, address_bytes));
  return header;
}

bool BeginsLike(std::string_view begin, std::string_view signature) {
  return begin.substr(0, signature.size()) == signature.substr(0, begin.size());
}

}  // namespace

Result<ProxyHeader> ParseProxyHeader(std::string_view begin) {
  for (const auto& [signature, parse] : {std::pair{kV1Begin, &ParseV1}, {kV2Begin, &ParseV2}}) {
    if (!BeginsLike(begin, signature)) continue;
    if (begin.size() < signature.size()) return ProxyHeader{.state = State::kPartial};
    return parse(begin);
  }
  return ProxyHeader{.state = State::kAbsent};
}

}  // namespace writ
