// SPDX-License-Identifier: Apache-2.0
//
// JwtSource: a JWT-SVID for an entry and audiences: from the cache while more than half of its life
// is left, else from the server; when the server is away, the cached one as long as it is valid.
// Concurrent requests for the same token make one call. An entry that wants a `jti` in its tokens
// gets a fresh one each time.
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
#include "core/base/status.h"

namespace writ {

class JwtSource {
 public:
  virtual ~JwtSource() = default;
  // What the cache holds, if it is as good as a new one: Fetch would give the same at once.
  virtual std::optional<HeldJwt> Held(const Entry& entry, std::vector<std::string> audience) = 0;
  // NotFound: the server says that the entry is not this agent's (any more).
  virtual Result<HeldJwt> Fetch(const Entry& entry, std::vector<std::string> audience,
                                MonoTime deadline) = 0;
};

std::unique_ptr<JwtSource> MakeJwtSource(ServerApi* server, Cache* cache, Clock* clock, Log* log);

}  // namespace writ
