// SPDX-License-Identifier: Apache-2.0
//
// The PROXY protocol, versions 1 and 2: what a load balancer may say before a connection's own
// bytes: whose connection it really is.
//
// Trust: the bytes are hostile. Whether their sender may say such a thing, the caller decides.
// Threads: free functions.
#pragma once

#include <optional>
#include <string_view>

#include "core/base/status.h"
#include "core/net/ip.h"

namespace writ {

struct ProxyHeader {
  // No longer than this is read: the addresses and some kilobytes of what else a proxy may add.
  static constexpr size_t kBytesMax = 4096;

  enum class State {
    kAbsent,   // the connection begins with something else
    kPartial,  // more bytes will tell
    kWhole,
  };
  State state;
  size_t bytes = 0;                 // kWhole: how long it is
  std::optional<IpAddress> source;  // kWhole; nothing: the sender speaks for itself
};

// `begin`: the first bytes of a connection, as many as have come.
Result<ProxyHeader> ParseProxyHeader(std::string_view begin);

}  // namespace writ
