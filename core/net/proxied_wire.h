// SPDX-License-Identifier: Apache-2.0
//
// ProxiedWire: a wire whose peer may say first, in a PROXY header, whose connection it is. The
// header is taken off, the rest is the inner wire's.
//
// Trust: the peer is hostile until `accept` said otherwise. Threads: one thread at a time.
#pragma once

#include <functional>
#include <memory>

#include "core/net/proxy_header.h"
#include "core/net/wire.h"

namespace writ {

// Told once, before the inner handshake: kAbsent or kWhole. A failure ends the connection.
using AcceptProxyHeader = std::function<Status(const ProxyHeader&)>;

std::unique_ptr<Wire> ProxiedWire(std::unique_ptr<Wire> inner, int socket_fd,
                                  AcceptProxyHeader accept);

}  // namespace writ
