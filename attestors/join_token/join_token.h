// SPDX-License-Identifier: Apache-2.0
//
// Join tokens: the node proves itself with a secret that the server made (or accepted) before and
// that works once. The token's row is consumed in the transaction that creates the agent, not here.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "attestors/node/node_attestor.h"
#include "core/base/clock.h"
#include "core/base/secret.h"

namespace writ {

inline constexpr std::string_view kJoinTokenType = "join_token";

struct JoinTokenInfo {
  Time expires_at;
};
// NotFound when there is no such token.
using FindJoinToken = std::function<Result<JoinTokenInfo>(std::string_view token)>;

// A token's value becomes the last segment of the agent's SPIFFE ID.
inline constexpr size_t kJoinTokenBytesMax = 1024;
Status ValidateJoinToken(std::string_view token);

std::unique_ptr<NodeProverFactory> MakeJoinTokenProver(Secret token);
// Unknown or expired: InvalidArgument. The verdict's path is "join_token/<token>", selectors empty,
// not reattestable, join_token set.
std::unique_ptr<NodeVerifierFactory> MakeJoinTokenVerifier(FindJoinToken find, Clock* clock);

}  // namespace writ
