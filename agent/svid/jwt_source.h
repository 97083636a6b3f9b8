// SPDX-License-Identifier: Apache-2.0
//
// JwtSource: a JWT-SVID for an entry and audiences: from the cache while half of its life, give or
// take 10 %, is left; else by one call to the server; when that fails, the cached one as long as it
// is valid. One that has ended when it arrives is a failure. An entry that wants a `jti` in its
// tokens gets a fresh one each time.
//
// Threads: thread-safe; Fetch blocks, until its deadline at most; Held never does.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/cache/cache.h"
#include "agent/client/server_api.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/random.h"
#include "core/base/status.h"

namespace writ {

// With a valid token at hand nobody waits longer for a fresher one.
inline constexpr Duration kJwtRefreshTimeout = std::chrono::seconds(5);

// The order in which a caller names its audiences goes into the token; one token serves all orders.
std::vector<std::string> AudienceSet(std::vector<std::string> audience);

class JwtSource {
 public:
  virtual ~JwtSource() = default;
  // What the cache holds, if it is valid; until its renew_at Fetch would give the same at once.
  virtual std::optional<HeldJwt> Held(const Entry& entry, std::vector<std::string> audience) = 0;
  // NotFound: the server says that the entry is not this agent's (any more).
  virtual Result<HeldJwt> Fetch(const Entry& entry, std::vector<std::string> audience,
                                MonoTime deadline) = 0;
};

std::unique_ptr<JwtSource> MakeJwtSource(ServerApi* server, Cache* cache, Clock* clock,
                                         Random* random, Log* log);

}  // namespace writ
