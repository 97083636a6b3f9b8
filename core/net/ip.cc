// SPDX-License-Identifier: Apache-2.0
#include "core/net/ip.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace writ {
namespace {

constexpr std::string_view kMapped("\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);  // ::ffff:0:0/96
constexpr unsigned kMappedBits = 96;
constexpr size_t kV4Bytes = 4;
constexpr size_t kClientBytes = 8;  // a /64

}  // namespace

IpAddress IpAddress::FromBytes(std::string_view bytes) {
  CHECK(bytes.size() == kV4Bytes || bytes.size() == kBytes);
  IpAddress address;
  if (bytes.size() == kV4Bytes) {
    std::memcpy(address.bytes_.data(), kMapped.data(), kMapped.size());
    std::memcpy(address.bytes_.data() + kMapped.size(), bytes.data(), kV4Bytes);
  } else {
    std::memcpy(address.bytes_.data(), bytes.data(), kBytes);
  }
  return address;
}

Result<IpAddress> IpAddress::Parse(std::string_view text) {
  std::string copy(text);  // inet_pton wants an end
  char bytes[kBytes];
  if (copy.size() == text.size() && copy.find('\0') == std::string::npos) {
    if (inet_pton(AF_INET, copy.c_str(), bytes) == 1) return FromBytes({bytes, kV4Bytes});
    if (inet_pton(AF_INET6, copy.c_str(), bytes) == 1) return FromBytes({bytes, kBytes});
  }
  return InvalidArgument("expected an IPv4 or IPv6 address");
}

std::optional<IpAddress> IpAddress::FromSocket(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address);
    return FromBytes({reinterpret_cast<const char*>(&v4->sin_addr), kV4Bytes});
  }
  if (address.ss_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address);
    return FromBytes({reinterpret_cast<const char*>(&v6->sin6_addr), kBytes});
  }
  return std::nullopt;
}

bool IpAddress::is_v4() const {
  return std::memcmp(bytes_.data(), kMapped.data(), kMapped.size()) == 0;
}

std::string IpAddress::text() const {
  char text[INET6_ADDRSTRLEN];
  const char* made = is_v4()
                         ? inet_ntop(AF_INET, bytes_.data() + kMapped.size(), text, sizeof text)
                         : inet_ntop(AF_INET6, bytes_.data(), text, sizeof text);
  CHECK(made != nullptr);
  return text;
}

std::string IpAddress::ClientName() const {
  if (is_v4()) return text();
  IpAddress network = *this;
  std::fill(network.bytes_.begin() + kClientBytes, network.bytes_.end(), 0);
  return network.text() + "/64";
}

Result<IpRange> IpRange::Parse(std::string_view text) {
  auto wrong = [&](const std::string& why) {
    return InvalidArgument("\"" + std::string(text) +
                           "\" is not a range of addresses such as 10.0.0.0/8: " + why);
  };
  size_t slash = text.find('/');
  if (slash == std::string_view::npos) return wrong("there is no /prefix");
  Result<IpAddress> address = IpAddress::Parse(text.substr(0, slash));
  if (!address.ok()) return wrong(address.status().message());
  bool v4 = text.substr(0, slash).find(':') == std::string_view::npos;
  unsigned bits = 0;
  std::string_view number = text.substr(slash + 1);
  auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), bits);
  if (error != std::errc() || end != number.data() + number.size() || bits > (v4 ? 32 : 128)) {
    return wrong("the prefix must be a number up to " + std::string(v4 ? "32" : "128"));
  }
  IpRange range;
  range.address_ = *address;
  range.prefix_bits_ = v4 ? bits + kMappedBits : bits;
  return range;
}

bool IpRange::Contains(const IpAddress& address) const {
  size_t whole = prefix_bits_ / 8;
  if (!std::equal(address_.bytes_.begin(), address_.bytes_.begin() + static_cast<long>(whole),
                  address.bytes_.begin())) {
    return false;
  }
  unsigned rest = prefix_bits_ % 8;
  if (rest == 0) return true;
  unsigned mask = 0xffu << (8 - rest) & 0xffu;
  return (address_.bytes_[whole] & mask) == (address.bytes_[whole] & mask);
}

}  // namespace writ
