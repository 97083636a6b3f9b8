// SPDX-License-Identifier: Apache-2.0
#include "agent/svid/jwt_source.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "core/base/mutex.h"

namespace writ {
namespace {

// With a valid token at hand nobody waits long for a fresher one.
constexpr Duration kRefreshTimeout = std::chrono::seconds(5);

// The order in which a caller names its audiences goes into the token; one token serves all orders.
std::vector<std::string> Sorted(std::vector<std::string> audience) {
  std::sort(audience.begin(), audience.end());
  audience.erase(std::unique(audience.begin(), audience.end()), audience.end());
  return audience;
}

class ServerJwtSource final : public JwtSource {
 public:
  ServerJwtSource(ServerApi* server, Cache* cache, Clock* clock, Log* log)
      : server_(server), cache_(cache), clock_(clock), log_(log) {}

  std::optional<HeldJwt> Held(const Entry& entry, std::vector<std::string> audience) override;
  Result<HeldJwt> Fetch(const Entry& entry, std::vector<std::string> audience,
                        MonoTime deadline) override EXCLUDES(mu_);

 private:
  struct Key {
    std::string entry_id;
    int64_t revision;
    int64_t created_at;
    std::vector<std::string> audience;
    auto operator<=>(const Key&) const = default;
  };
  // A call that is under way, and those who wait for it.
  struct Flight {
    std::optional<Result<HeldJwt>> result;
    std::set<Wake*> waiting;
  };

  Result<HeldJwt> Refresh(const Entry& entry, const std::vector<std::string>& audience,
                          MonoTime deadline) EXCLUDES(mu_);
  Result<HeldJwt> Lead(const Key& key, const std::shared_ptr<Flight>& flight, const Entry& entry,
                       const std::vector<std::string>& audience, MonoTime deadline) EXCLUDES(mu_);
  std::optional<Result<HeldJwt>> Follow(Flight& flight, MonoTime deadline) EXCLUDES(mu_);
  Result<HeldJwt> Call(const Entry& entry, const std::vector<std::string>& audience,
                       MonoTime deadline);

  ServerApi* const server_;  // constant after construction, as are the next three
  Cache* const cache_;
  Clock* const clock_;
  Log* const log_;
  Mutex mu_;
  std::map<Key, std::shared_ptr<Flight>> flights_ GUARDED_BY(mu_);  // bounded by their callers
};

Result<HeldJwt> ServerJwtSource::Call(const Entry& entry, const std::vector<std::string>& audience,
                                      MonoTime deadline) {
  Result<ReceivedJwt> jwt = server_->NewJwtSvid(entry, audience, deadline);
  // A denial is about this agent, which the loop sees to; the workload is to come back later.
  if (jwt.code() == Code::kPermissionDenied || jwt.code() == Code::kUnauthenticated) {
    return Unavailable(jwt.status().message()).Annotate("the server does not take this agent");
  }
  TRY(jwt);
  return HeldJwt{std::move(jwt->token), std::move(jwt->key_id), jwt->issued_at, jwt->expires_at};
}

bool AsGoodAsNew(const HeldJwt& jwt, Time now) {
  return now < jwt.issued_at + (jwt.expires_at - jwt.issued_at) / 2;
}

std::optional<HeldJwt> ServerJwtSource::Held(const Entry& entry,
                                             std::vector<std::string> audience) {
  if (entry.jwt_svid_include_jti) return std::nullopt;
  std::optional<HeldJwt> held = cache_->FindJwt(entry, Sorted(std::move(audience)));
  if (held && !AsGoodAsNew(*held, clock_->Now())) held.reset();
  return held;
}

Result<HeldJwt> ServerJwtSource::Fetch(const Entry& entry, std::vector<std::string> audience,
                                       MonoTime deadline) {
  if (entry.jwt_svid_include_jti) return Call(entry, audience, deadline);

  std::optional<HeldJwt> held = cache_->FindJwt(entry, Sorted(audience));
  Time now = clock_->Now();
  if (held && AsGoodAsNew(*held, now)) return *held;
  bool fallback = held && now < held->expires_at;
  if (fallback) deadline = std::min(deadline, clock_->Monotonic() + kRefreshTimeout);

  Result<HeldJwt> fresh = Refresh(entry, audience, deadline);
  if (fresh.ok() || !fallback || clock_->Now() >= held->expires_at) return fresh;
  // The server's word that the entry is no longer this agent's outweighs what is held.
  if (fresh.code() == Code::kNotFound) return fresh;
  held = cache_->FindJwt(entry, Sorted(audience));
  if (!held) return fresh;  // meanwhile the entry or the token's authority lost its worth
  log_->Warn("A JWT-SVID was not refreshed; the one at hand is given out until its end",
             {{"spiffe_id", entry.spiffe_id.text()}, {"error", fresh.status()}});
  return *held;
}

Result<HeldJwt> ServerJwtSource::Refresh(const Entry& entry,
                                         const std::vector<std::string>& audience,
                                         MonoTime deadline) {
  const Key key{entry.id, entry.revision, entry.created_at, Sorted(audience)};
  while (true) {
    std::shared_ptr<Flight> flight;
    bool leads = false;
    {
      MutexLock lock(mu_);
      std::shared_ptr<Flight>& slot = flights_[key];
      leads = !slot;
      if (leads) slot = std::make_shared<Flight>();
      flight = slot;
    }
    if (leads) return Lead(key, flight, entry, audience, deadline);
    std::optional<Result<HeldJwt>> result = Follow(*flight, deadline);
    if (!result) return DeadlineExceeded("no answer from the server for a JWT-SVID in time");
    // The one who asked may have had less time than we have.
    bool ran_out = result->code() == Code::kDeadlineExceeded;
    if (!ran_out || clock_->Monotonic() >= deadline) return *std::move(result);
  }
}

Result<HeldJwt> ServerJwtSource::Lead(const Key& key, const std::shared_ptr<Flight>& flight,
                                      const Entry& entry, const std::vector<std::string>& audience,
                                      MonoTime deadline) {
  Result<HeldJwt> result = Call(entry, audience, deadline);
  if (result.ok()) cache_->PutJwt(entry, key.audience, *result);
  MutexLock lock(mu_);
  flight->result = result;
  flights_.erase(key);
  for (Wake* wake : flight->waiting) wake->Notify();
  return result;
}

std::optional<Result<HeldJwt>> ServerJwtSource::Follow(Flight& flight, MonoTime deadline) {
  Wake wake;
  {
    MutexLock lock(mu_);
    if (flight.result) return flight.result;
    flight.waiting.insert(&wake);
  }
  // The call ends by itself, at the latest when the agent stops.
  clock_->WaitUntil(deadline, wake, std::stop_token());
  MutexLock lock(mu_);
  flight.waiting.erase(&wake);
  return flight.result;
}

}  // namespace

std::unique_ptr<JwtSource> MakeJwtSource(ServerApi* server, Cache* cache, Clock* clock, Log* log) {
  return std::make_unique<ServerJwtSource>(server, cache, clock, log);
}

}  // namespace writ
