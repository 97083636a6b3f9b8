// SPDX-License-Identifier: Apache-2.0
//
// What must hold at every moment of a simulation.
#include <algorithm>

#include "core/base/file.h"
#include "core/spiffe/svid.h"
#include "test/sim/simulation.h"

namespace writ {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr int kUidsPerAgent = 4;
constexpr int kVerificationsPerLook = 4;
constexpr int kJwtVerifications = 2;  // of each
// A turn of an agent's loop in which every call is slow: what ends meanwhile is taken out after it.
constexpr Duration kTurnMax = seconds(90);
// Whoever had a bundle in this time has every authority that signs by now.
constexpr Duration kBundleFresh = minutes(45);
constexpr size_t kAuthoritiesMax = 6;
// Of each kind one each half day, for two days, and the newest.
constexpr size_t kJournalRowsMax = 10;
// One more of each for each that was tainted, and a successor that was given up with it.
constexpr size_t kRowsPerTaintMax = 4;
// An agent that is in step hears of a taint and has new SVIDs in a turn or two.
constexpr Duration kTaintHandled = minutes(30);
// One of each kind on its way into a journal that cannot be written.
constexpr size_t kKeysOnTheirWayMax = 2;
// Each new token is a new agent; the rows of those that are over go a day later.
constexpr size_t kAgentRowsPerAgentMax = 30;
// Of what a turn takes, of backoff, of a step of the server's and of an operator's look.
constexpr Duration kRecoveredIn = minutes(10);
constexpr int kAudiencesOfLimited = 3;
constexpr size_t kAuditBytesMax = size_t{256} << 20;

}  // namespace

void Simulation::Expect(bool holds, const std::string& sentence) {
  if (holds || !failure_.empty()) return;
  failure_ =
      "seed " + std::to_string(options_.seed) + ", " + FormatTime(world_.Now()) + ": " + sentence;
  world_.Stop();
}

Duration Simulation::Look() {
  ++counts_.looks;
  Expect(!server_.serial_came_twice, "a serial number came twice");
  if (server_.running()) LookAtServer();
  for (auto& agent : agents_) {
    if (agent->started() && !agent->ended()) LookAtAgent(*agent);
  }
  VerifyAtPeers();
  return minutes(15) + world_.UpTo(minutes(10));
}

void Simulation::LookAtServer() {
  ServerState& state = *server_.running()->state;
  const std::shared_ptr<const Bundle> bundle = state.bundle->Current();
  const size_t tainted = kRowsPerTaintMax * static_cast<size_t>(counts_.taints);
  const size_t authorities_max = kAuthoritiesMax + tainted;
  Expect(bundle->x509.size() <= authorities_max && bundle->jwt.size() <= authorities_max,
         "the bundle holds " + std::to_string(bundle->x509.size()) + " X.509 and " +
             std::to_string(bundle->jwt.size()) + " JWT authorities");
  Expect(state.registry->CountAgents({}) <= kAgentRowsPerAgentMax * agents_.size(),
         "rows of agents that are over stay behind");
  Result<std::vector<JournalRow>> journal = state.store->journal().Load();
  Expect(journal.ok() && journal->size() <= kJournalRowsMax + tainted,
         "authorities that are over stay");
  const size_t keys = ListDirectory(server_.keys_path())->size();
  Expect(!journal.ok() || keys <= journal->size() + kKeysOnTheirWayMax, "keys are left behind");
  authorities_.insert(state.authorities->CurrentX509()->authority_id);
}

void Simulation::LookAtAgent(SimAgent& agent) {
  Expect(agent.keys_held() <= 2, "an agent keeps keys that are over");
  for (int uid = 0; uid < kUidsPerAgent; ++uid) LookAtEntries(agent, uid);
  LookAtRecovery(agent);
  if (agent.in_step && world_.Chance(0.3)) VerifyJwt(agent);
  LookAtLimits(agent);
}

void Simulation::LookAtEntries(SimAgent& agent, int uid) {
  const std::shared_ptr<const WorkloadUpdate> update = agent.cache()->Lookup(SelectorsOf(uid));
  std::set<std::string> held;
  for (const Identity& identity : update->identities) {
    LookAtHeld(agent, identity);
    if (identity.x509) held.insert(identity.entry->id);
    LookAtTaints(agent, identity);
  }
  if (!agent.in_step || agent.contact.in_call || agent.contact.call_failed) return;
  // In step with the server, so nothing is missing that there is room for or that is asked for.
  const bool all_fit = agent.limits().x509_max == CacheLimits().x509_max;
  const std::optional<MonoTime> used_since = agent.ServesSince(uid);
  if (!all_fit && (!used_since || *used_since >= *agent.synced_as_of)) return;
  for (const auto& [id, versions] : history_) {
    if (versions.empty()) continue;
    const Version& last = versions.back();
    const Entry& entry = last.entry;
    const bool due =
        last.until == MonoTime::max() && last.since < *agent.synced_as_of &&
        entry.parent_id == agent.alias() && entry.selectors == SelectorsOf(uid) &&
        (entry.expires_at == 0 || FromUnixSeconds(entry.expires_at) > world_.Now() + minutes(2));
    Expect(!due || held.contains(id), "an agent that is in step lacks the SVID of " + id);
  }
}

void Simulation::LookAtHeld(SimAgent& agent, const Identity& identity) {
  const Entry& entry = *identity.entry;
  if (identity.x509) {
    const Duration grace = agent.contact.in_call ? kTurnMax : Duration::zero();
    // What ends in this very moment is taken out in it, and a clock is read again after each wait.
    const Time noticed = world_.Now() + std::min(agent.clock.skew, agent.skew_noticed);
    Expect(identity.x509->not_after + grace >= noticed,
           "an expired SVID of " + entry.id + " is held");
  }
  const auto known = history_.find(entry.id);
  if (known == history_.end()) return Expect(false, "nobody made the entry " + entry.id);
  const auto version =
      std::find_if(known->second.begin(), known->second.end(), [&](const Version& v) {
        return v.entry.revision == entry.revision && v.entry.created_at == entry.created_at;
      });
  if (version == known->second.end()) {
    return Expect(false,
                  "nobody made revision " + std::to_string(entry.revision) + " of " + entry.id);
  }
  Expect(version->entry.parent_id == agent.alias(), entry.id + " is another agent's");
  Expect(!agent.synced_as_of || version->until >= *agent.synced_as_of,
         "an agent holds " + entry.id + " as it was before its last sync");
}

// What no workload uses keeps to the limits.
void Simulation::LookAtLimits(SimAgent& agent) {
  size_t used = 0;
  for (int uid = 0; uid < kUidsPerAgent; ++uid) {
    if (!agent.ServesSince(uid)) continue;
    for (const Identity& identity : agent.cache()->Lookup(SelectorsOf(uid))->identities) {
      used += identity.x509 ? 1 : 0;
    }
  }
  const CacheCounts counts = agent.cache()->Counts();
  Expect(counts.x509 <= std::max(used, static_cast<size_t>(agent.limits().x509_max)),
         "an agent holds " + std::to_string(counts.x509) + " X.509-SVIDs, of which " +
             std::to_string(used) + " are used");
  Expect(counts.jwt <= static_cast<size_t>(agent.limits().jwt_max),
         "an agent holds " + std::to_string(counts.jwt) + " JWT-SVIDs");
}

// Where nothing goes wrong any more, every agent is in step soon.
void Simulation::LookAtRecovery(SimAgent& agent) {
  const MonoTime now = world_.Monotonic();
  const Duration longest = agent.sync_interval() * 2 + kRecoveredIn;
  if (now < trouble_until_ + longest || server_.taint_waits) return;
  Expect(agent.synced_as_of && *agent.synced_as_of + longest >= now,
         "the agent of " + agent.alias().text() + " stays out of step");
}

// What a tainted authority signed is replaced by whoever has heard of it and was answered.
void Simulation::LookAtTaints(SimAgent& agent, const Identity& identity) {
  const bool heard = agent.in_step && !agent.contact.in_call && !agent.contact.call_failed &&
                     !server_.taint_waits && server_.taint_handled &&
                     world_.Monotonic() > *server_.taint_handled + kTaintHandled;
  const std::shared_ptr<const Bundle> bundle = agent.cache()->CurrentBundle();
  if (!heard || !identity.x509 || !bundle) return;
  Expect(!RestsOn(*identity.x509, TaintedKeyIds(*bundle)),
         "the SVID of " + identity.entry->id + " is still a tainted authority's");
}

// Whether a peer has every authority that signs by now: the one that takes a tainted one's place
// signs at once, and whoever has not looked since does not know it.
bool Simulation::HasSeenBundle(const SimAgent& verifier) const {
  const std::optional<MonoTime>& fetched = verifier.contact.bundle_fetched;
  return verifier.started() && fetched && *fetched + kBundleFresh >= world_.Monotonic() &&
         !server_.taint_waits && (!server_.taint_handled || *fetched > *server_.taint_handled);
}

void Simulation::VerifyAtPeers() {
  for (int i = 0; i < kVerificationsPerLook; ++i) {
    SimAgent& holder = AnyAgent();
    SimAgent& verifier = AnyAgent();
    if (!holder.started() || !HasSeenBundle(verifier)) continue;
    const std::shared_ptr<const Bundle> bundle = verifier.cache()->CurrentBundle();
    const auto update =
        holder.cache()->Lookup(SelectorsOf(static_cast<int>(world_.random() % kUidsPerAgent)));
    if (!bundle || update->identities.empty() || !update->identities[0].x509) continue;
    const HeldX509& held = *update->identities[0].x509;
    const Time now = std::clamp(verifier.clock.Now(), held.not_before, held.not_after - seconds(1));
    Result<std::vector<Certificate>> chain = Certificate::ChainFromDer(held.chain_der);
    Result<VerifiedX509Svid> verified =
        chain.ok() ? VerifyX509Svid(*chain, std::span(bundle.get(), 1), now)
                   : Result<VerifiedX509Svid>(chain.status());
    Expect(verified.ok(), "a peer does not verify an SVID: " + verified.status().ToString());
    ++counts_.verified;
  }
}

void Simulation::VerifyJwt(SimAgent& agent) {
  // A JWT-SVID lives for minutes: where the server's clock is off by as much, peers are right.
  if (std::chrono::abs(server_.clock.skew) > kJwtSkew / 2) return;
  const auto update =
      agent.cache()->Lookup(SelectorsOf(static_cast<int>(world_.random() % kUidsPerAgent)));
  if (update->identities.empty()) return;
  const Entry& entry = *update->identities[0].entry;
  VerifyOneJwt(agent, entry, {"peer"});
  if (agent.limits().jwt_max == CacheLimits().jwt_max) return;
  for (int i = 1; i < kAudiencesOfLimited; ++i) {
    VerifyOneJwt(agent, entry, {"peer", "peer " + std::to_string(i)});
  }
}

void Simulation::VerifyOneJwt(SimAgent& agent, const Entry& entry,
                              const std::vector<std::string>& audience) {
  const Contact turn = agent.contact;
  Result<HeldJwt> jwt =
      agent.loop()->jwts().Fetch(entry, audience, world_.Monotonic() + seconds(30));
  agent.contact = turn;  // of which this call is no part: the agent is as much in step as before
  if (!jwt.ok()) return;
  for (int i = 0; i < kJwtVerifications; ++i) {
    SimAgent& verifier = AnyAgent();
    if (!HasSeenBundle(verifier)) continue;
    const std::shared_ptr<const Bundle> bundle = verifier.cache()->CurrentBundle();
    if (!bundle) continue;
    Result<JwtSvid> valid =
        ValidateJwtSvid(jwt->token, "peer", std::span(bundle.get(), 1), verifier.clock.Now());
    Expect(valid.ok(), "a peer does not verify a JWT-SVID: " + valid.status().ToString());
    ++counts_.jwts;
  }
}

// Nothing that anybody holds was issued without a record.
void Simulation::LookAtAudit() {
  Result<std::string> audit = ReadFile(server_.audit_path(), kAuditBytesMax);
  if (!audit.ok()) return Expect(false, "the audit log: " + audit.status().ToString());
  constexpr std::string_view kMark = "\"serial\":\"";
  std::set<std::string> recorded;
  for (size_t at = audit->find(kMark); at != audit->npos; at = audit->find(kMark, at)) {
    at += kMark.size();
    recorded.insert(audit->substr(at, audit->find('"', at) - at));
  }
  for (const std::string& serial : server_.serials) {
    Expect(recorded.contains(serial), "no record of the SVID with serial number " + serial);
  }
}

}  // namespace writ
