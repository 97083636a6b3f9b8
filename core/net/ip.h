// SPDX-License-Identifier: Apache-2.0
//
// IpAddress and IpRange: IPv4 and IPv6 as one: an IPv4 address is the IPv6 address that maps it, so
// that one client has one name whatever the listener.
//
// Threads: values.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/status.h"

namespace writ {

class IpAddress {
 public:
  static constexpr size_t kBytes = 16;

  static Result<IpAddress> Parse(std::string_view text);
  // Nothing for other families.
  static std::optional<IpAddress> FromSocket(const sockaddr_storage& address);
  // In network order: 4 bytes or 16.
  static IpAddress FromBytes(std::string_view bytes);

  bool is_v4() const;
  std::string text() const;
  // Whom to count as one client: an IPv4 address, or a /64, which is what one IPv6 host may use.
  std::string ClientName() const;

 private:
  friend class IpRange;
  std::array<uint8_t, kBytes> bytes_{};
};

class IpRange {
 public:
  // "10.0.0.0/8", "2001:db8::/32". Bits of the address below the prefix do not count.
  static Result<IpRange> Parse(std::string_view text);
  bool Contains(const IpAddress& address) const;

 private:
  IpAddress address_;
  unsigned prefix_bits_ = 0;  // of 128
};

}  // namespace writ
