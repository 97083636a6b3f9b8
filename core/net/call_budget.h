// SPDX-License-Identifier: Apache-2.0
//
// CallBudget: watches one connection for calls that are abandoned before they are answered, for
// those that are open and for headers without end, and ends it, with GOAWAY ENHANCE_YOUR_CALM, when
// its client is over one of the limits.
//
// Trust: the client is hostile. Threads: one thread at a time.
#pragma once

#include <memory>

#include "core/net/client_limits.h"
#include "core/net/tunnel.h"

namespace writ {

std::unique_ptr<ByteWatch> CallBudget(std::shared_ptr<ClientLimits::Place> place);

}  // namespace writ
