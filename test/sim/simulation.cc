// SPDX-License-Identifier: Apache-2.0
//
// What happens: entries come, change and go; servers and agents die; the wire, the disk and the
// clocks fail. What must hold stands in invariants.cc.
#include "test/sim/simulation.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace writ {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr Duration kEntryChangeEvery = minutes(40);
constexpr Duration kTroubleEvery = minutes(45);
constexpr Duration kLookEvery = minutes(20);
constexpr Duration kOutageMax = minutes(12);
constexpr Duration kSkewMax = seconds(20);
constexpr Duration kServerJumpMax = minutes(4);
constexpr Duration kWorkloadEvery = minutes(15);
// A disk is full, read-only or broken from some step of a change on.
constexpr std::array kDiskErrors = {ENOSPC, EROFS, EIO};
constexpr int kChangesBeforeMax = 12;
// Some agents hold fewer than they have entries.
constexpr int kLimitedEvery = 2;
constexpr CacheLimits kTightLimits = {.x509_max = 1, .jwt_max = 2};
constexpr int kLimitedHaveTimes = 2;
constexpr int kUidsPerAgent = 4;  // entries of one uid share its workload

}  // namespace

Simulation::Simulation(SimulationOptions options)
    : options_(options), world_(options.seed), server_(&world_, &files_, directory_ / "server") {
  for (int i = 0; i < options_.agents; ++i) {
    agents_.push_back(std::make_unique<SimAgent>(
        &world_, &server_, &files_,
        SimAgentOptions{.number = i,
                        .directory = directory_ / ("agent-" + std::to_string(i)),
                        .sync_interval = options_.sync_interval * (1 + i % 3),
                        .limits = i % kLimitedEvery == 0 ? kTightLimits : CacheLimits()}));
  }
}

std::string Simulation::Run() {
  server_.Step();
  StartAgents();
  for (auto& agent : agents_) {
    const bool limited = agent->limits().x509_max == kTightLimits.x509_max;
    const int entries = options_.entries_per_agent * (limited ? kLimitedHaveTimes : 1);
    for (int i = 0; i < entries; ++i) CreateEntry(*agent);
  }
  Schedule();
  world_.Run(MonoTime(options_.life));
  // An end in peace: whatever was wrong last, all comes right again.
  if (failure_.empty()) LookAtAudit();
  counts_.server_starts = server_.starts;
  counts_.x509_issued = server_.serials.size();
  counts_.authorities_seen = authorities_.size();
  counts_.file_faults = files_.failed();
  server_.HealDisk();
  for (auto& agent : agents_) {
    agent->Kill();
    counts_.x509_given_up += agent->x509_given_up;
    counts_.jwt_given_up += agent->jwt_given_up;
  }
  server_.Crash();
  if (failure_.empty()) return "";
  failure_ += "\n" + server_.log.Text();
  for (auto& agent : agents_) failure_ += agent->log.Text();
  return failure_;
}

void Simulation::Schedule() {
  world_.Every(seconds(1), [this] { return server_.Step(); });
  world_.Every(seconds(30), [this] { return KeepAgentsRunning(); });
  world_.Every(kEntryChangeEvery, [this] { return ChangeAnEntry(); });
  world_.Every(kWorkloadEvery, [this] { return ComeOrGo(); });
  world_.Every(kTroubleEvery, [this] { return Trouble(); });
  world_.Every(kLookEvery, [this] { return Look(); });
  if (options_.taint_every > Duration::zero()) {
    world_.Every(options_.taint_every, [this] { return Taint(); });
  }
}

void Simulation::StartAgents() {
  for (auto& agent : agents_) {
    agent->Provision();
    CHECK(agent->Start(server_.NewToken(agent->alias())).ok());
    ++counts_.agent_starts;
  }
}

SimAgent& Simulation::AnyAgent() { return *agents_[world_.random() % agents_.size()]; }

Selectors Simulation::SelectorsOf(int uid) const {
  return {{"unix", "uid:" + std::to_string(uid)}};
}

// ---- entries ------------------------------------------------------------------------------------

void Simulation::CreateEntry(SimAgent& agent) {
  const std::string id = "e" + std::to_string(++entries_made_);
  const int uid = static_cast<int>(world_.random() % kUidsPerAgent);
  Entry entry{.id = id,
              .spiffe_id = *SpiffeId::FromPath(server_.td(), "/" + id),
              .parent_id = agent.alias(),
              .selectors = SelectorsOf(uid)};
  if (world_.Chance(0.2)) entry.x509_ttl_seconds = 600 + static_cast<int>(world_.random() % 3000);
  if (world_.Chance(0.2)) {
    entry.expires_at = ToUnixSeconds(world_.Now() + minutes(10) + world_.UpTo(hours(12)));
  }
  (void)server_.running()->state->store->entries().Create({entry}, server_.clock.Now(), nullptr);
  Observe(id);
}

// What the store says after an attempt, whatever the attempt was answered.
void Simulation::Observe(const std::string& entry_id) {
  Result<Entry> now = server_.running()->state->store->entries().Get(entry_id);
  std::vector<Version>& versions = history_[entry_id];
  const bool known = !versions.empty() && versions.back().until == MonoTime::max();
  if (known && now.ok() && versions.back().entry == *now) return;
  ++counts_.entry_changes;
  if (known) versions.back().until = world_.Monotonic();
  if (now.ok()) versions.push_back({std::move(*now), world_.Monotonic()});
  Expect(now.ok() || now.code() == Code::kNotFound,
         "the store cannot read: " + now.status().ToString());
}

Duration Simulation::ChangeAnEntry() {
  const Duration again = world_.UpTo(kEntryChangeEvery * 2);
  if (!server_.running()) return again;
  std::vector<std::string> there;
  for (const auto& [id, versions] : history_) {
    if (!versions.empty() && versions.back().until == MonoTime::max()) there.push_back(id);
  }
  const size_t wanted = agents_.size() * static_cast<size_t>(options_.entries_per_agent);
  if (there.empty() || (there.size() < wanted * 2 && world_.Chance(0.4))) {
    CreateEntry(AnyAgent());
    return again;
  }
  const std::string id = there[world_.random() % there.size()];
  EntryStore& entries = server_.running()->state->store->entries();
  if (there.size() > wanted / 2 && world_.Chance(0.4)) {
    (void)entries.Delete(std::vector{id});
  } else {
    (void)entries.Edit({{id, [&](const Entry& stored) -> Result<Entry> {
                           Entry edited = stored;
                           edited.hint = "h" + std::to_string(world_.random() % 1'000'000);
                           if (world_.Chance(0.3)) edited.parent_id = AnyAgent().alias();
                           return edited;
                         }}});
  }
  Observe(id);
  return again;
}

Duration Simulation::ComeOrGo() {
  SimAgent& agent = AnyAgent();
  const int uid = static_cast<int>(world_.random() % kUidsPerAgent);
  if (agent.started()) agent.ComeOrGo(uid, SelectorsOf(uid));
  return world_.UpTo(kWorkloadEvery * 2);
}

// ---- trouble ------------------------------------------------------------------------------------

Duration Simulation::Trouble() {
  const MonoTime until = world_.Monotonic() + world_.UpTo(kOutageMax);
  trouble_until_ = std::max(trouble_until_, until);
  switch (world_.random() % 11) {
    case 0:
      server_.away_until = until;
      break;
    case 1:
      server_.stay_off_until = until;
      server_.Crash();
      break;
    case 2:
      server_.Crash();  // and starts at once
      break;
    case 3:
      server_.lose_replies = 1 + static_cast<int>(world_.random() % 8);
      break;
    case 4:
      server_.lose_requests = 1 + static_cast<int>(world_.random() % 8);
      break;
    case 5:
      server_.slow_until = until;
      break;
    case 6:
    case 9:
      FailADisk(until);
      break;
    case 7: {
      SimAgent& agent = AnyAgent();
      if (agent.contact.attest_reply_lost) break;
      agent.Kill();
      break;
    }
    case 8: {
      if (world_.Chance(0.4)) {
        server_.clock.skew = world_.UpTo(kServerJumpMax * 2) - kServerJumpMax;
        server_.clock_off_until = until;
      } else {
        AnyAgent().clock.skew = world_.UpTo(kSkewMax * 2) - kSkewMax;
      }
      break;
    }
    default:
      if (server_.running() && world_.Chance(0.2)) EvictSomeAgent();
      break;
  }
  return world_.UpTo(kTroubleEvery * 2);
}

// The server's, or an agent's, which may die over it.
void Simulation::FailADisk(MonoTime until) {
  const int error = kDiskErrors[world_.random() % kDiskErrors.size()];
  const int changes = static_cast<int>(world_.random() % kChangesBeforeMax);
  if (world_.Chance(0.5)) return server_.FailDisk(error, changes, until);
  SimAgent& agent = AnyAgent();
  agent.FailDisk(error, changes, until);
  if (world_.Chance(0.3) && !agent.contact.attest_reply_lost) agent.Kill();
}

void Simulation::EvictSomeAgent() {
  SimAgent& agent = AnyAgent();
  const Registry& registry = *server_.running()->state->registry;
  std::vector<Agent> known = registry.ListAgents({}, kFromTheFirst, 1000);
  for (const Agent& one : known) {
    if (one.id.text() != agent.contact.own_id) continue;
    agent.may_be_refused |= server_.running()->state->store->agents().Delete(one.id.text()).ok();
  }
}

// An operator who has learned that the keys that sign are known to somebody else.
Duration Simulation::Taint() {
  const Duration again = world_.UpTo(options_.taint_every * 2);
  if (!server_.running()) return again;
  ServerState& state = *server_.running()->state;
  const std::string x509 = state.authorities->CurrentX509()->certificate.subject_key_id();
  const std::string jwt = state.authorities->CurrentJwt()->authority_id;
  const bool done = state.bundle
                        ->Edit([&](Bundle& bundle) {
                          for (X509Authority& authority : bundle.x509) {
                            authority.tainted |= authority.certificate.subject_key_id() == x509;
                          }
                          for (JwtAuthority& authority : bundle.jwt) {
                            authority.tainted |= authority.key_id == jwt;
                          }
                          return OkStatus();
                        })
                        .ok();
  if (!done) return again;
  ++counts_.taints;
  server_.taint_waits = true;
  Expect(state.authorities->CurrentX509()->tainted && state.authorities->CurrentJwt()->tainted,
         "a tainted authority may sign");
  server_.Step();  // which a change of the bundle is followed by
  return again;
}

// An operator who brings dead agents back, with a new token where the old identity is over, and to
// all of them the bundle with a tainted authority's successor: it signs at once, so that who was
// away has nothing else to know the server by.
Duration Simulation::KeepAgentsRunning() {
  const bool can_serve = server_.running() && !server_.disk_fails();
  if (can_serve && brought_for_taint_ != server_.taint_handled) {
    for (auto& agent : agents_) agent->Provision();
    brought_for_taint_ = server_.taint_handled;
  }
  for (auto& agent : agents_) {
    agent->Step();
    const bool had_ended = agent->ended();
    if (had_ended) {
      const bool over = agent->contact.own_not_after <= agent->clock.Now() + seconds(60);
      Expect(over || agent->may_be_refused || agent->contact.attest_reply_lost,
             "an agent ended: " + agent->end.ToString());
      agent->Kill();
    }
    if (agent->started() || !can_serve) continue;
    const std::string token = server_.NewToken(agent->alias());
    if (token.empty()) continue;
    agent->may_be_refused = agent->contact.attest_reply_lost = false;
    if (had_ended) agent->Provision();
    if (agent->Start(token).ok()) ++counts_.agent_starts;
  }
  return seconds(30);
}

}  // namespace writ
