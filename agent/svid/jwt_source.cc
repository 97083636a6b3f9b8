// SPDX-License-Identifier: Apache-2.0
#include "agent/svid/jwt_source.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "agent/attest/half_life.h"

namespace writ {
namespace {

class ServerJwtSource final : public JwtSource {
 public:
  ServerJwtSource(ServerApi* server, Cache* cache, Clock* clock, Random* random, Log* log)
      : server_(server), cache_(cache), clock_(clock), random_(random), log_(log) {}

  std::optional<HeldJwt> Held(const Entry& entry, std::vector<std::string> audience) override;
  Result<HeldJwt> Fetch(const Entry& entry, std::vector<std::string> audience,
                        MonoTime deadline) override;

 private:
  Result<HeldJwt> Call(const Entry& entry, const std::vector<std::string>& audience,
                       MonoTime deadline);

  ServerApi* const server_;  // constant after construction, as are the next four
  Cache* const cache_;
  Clock* const clock_;
  Random* const random_;
  Log* const log_;
};

Result<HeldJwt> ServerJwtSource::Call(const Entry& entry, const std::vector<std::string>& audience,
                                      MonoTime deadline) {
  Result<ReceivedJwt> jwt = server_->NewJwtSvid(entry, audience, deadline);
  if (jwt.code() == Code::kPermissionDenied || jwt.code() == Code::kUnauthenticated) {
    return jwt.status().Annotate("the server does not take this agent");
  }
  TRY(jwt);
  const Time now = clock_->Now();
  if (jwt->expires_at <= now) {
    return Internal("the server's JWT-SVID has ended already, at " + FormatTime(jwt->expires_at) +
                    ": compare the clocks of server and agent");
  }
  const Time renew_at = RenewTime(jwt->issued_at, jwt->expires_at, now, *random_);
  return HeldJwt{std::move(jwt->token), std::move(jwt->key_id), jwt->issued_at, jwt->expires_at,
                 renew_at};
}

std::optional<HeldJwt> ServerJwtSource::Held(const Entry& entry,
                                             std::vector<std::string> audience) {
  if (entry.jwt_svid_include_jti) return std::nullopt;
  std::optional<HeldJwt> held = cache_->FindJwt(entry, AudienceSet(std::move(audience)));
  if (held && clock_->Now() >= held->expires_at) held.reset();
  return held;
}

Result<HeldJwt> ServerJwtSource::Fetch(const Entry& entry, std::vector<std::string> audience,
                                       MonoTime deadline) {
  if (entry.jwt_svid_include_jti) return Call(entry, audience, deadline);

  const std::optional<HeldJwt> held = Held(entry, audience);
  if (held && clock_->Now() < held->renew_at) return *held;
  if (held) deadline = std::min(deadline, clock_->Monotonic() + kJwtRefreshTimeout);

  Result<HeldJwt> fresh = Call(entry, audience, deadline);
  if (fresh.ok()) cache_->PutJwt(entry, AudienceSet(audience), *fresh);
  // The server's word that the entry is no longer this agent's outweighs what is held.
  if (fresh.ok() || !held || fresh.code() == Code::kNotFound) return fresh;
  // Meanwhile the token may have ended, or the entry or the token's authority lost its worth.
  std::optional<HeldJwt> still = Held(entry, std::move(audience));
  if (!still) return fresh;
  log_->Warn("A JWT-SVID was not refreshed; the one at hand is given out until its end",
             {{"spiffe_id", entry.spiffe_id.text()}, {"error", fresh.status()}});
  return *std::move(still);
}

}  // namespace

std::vector<std::string> AudienceSet(std::vector<std::string> audience) {
  std::sort(audience.begin(), audience.end());
  audience.erase(std::unique(audience.begin(), audience.end()), audience.end());
  return audience;
}

std::unique_ptr<JwtSource> MakeJwtSource(ServerApi* server, Cache* cache, Clock* clock,
                                         Random* random, Log* log) {
  return std::make_unique<ServerJwtSource>(server, cache, clock, random, log);
}

}  // namespace writ
