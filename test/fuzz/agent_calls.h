// SPDX-License-Identifier: Apache-2.0
//
// The agent's sockets as a target: a request of any method of the Workload API and of AgentWhy,
// over a real connection to the real services.
#pragma once

#include <string_view>

namespace writ {

// The first byte says which method, 'a' the first of the table; the rest is the request.
void FuzzAgentCall(std::string_view input);

}  // namespace writ
