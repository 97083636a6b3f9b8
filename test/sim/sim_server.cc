// SPDX-License-Identifier: Apache-2.0
#include "test/sim/sim_server.h"

#include <algorithm>
#include <utility>

#include "core/keys/key_manager.h"

namespace writ {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

constexpr Duration kRetryStart = seconds(10);
constexpr Duration kStepEvery = minutes(1);
constexpr int64_t kTokenSeconds = 600;

}  // namespace

SimServer::SimServer(SimWorld* world, FaultyFiles* files, std::string directory)
    : clock(world),
      log(world, "server"),
      world_(world),
      files_(files),
      random_(world->random()) {
  config_.trust_domain = td_;
  config_.data_dir = std::move(directory);
  config_.sqlite_path = config_.data_dir + "/writ.db";
  config_.audit_path = config_.data_dir + "/audit.jsonl";
  config_.svid.agent_ttl = std::chrono::hours(3);
  config_.svid.x509_ttl = std::chrono::hours(2);
  sqlite_disk_.SkipSyncs();
}

Status SimServer::Start() {
  auto running = std::make_unique<RunningServer>();
  RunningServer& r = *running;
  r.state = TRY(ServerState::Open(config_, {.clock = &clock, .random = &random_, .log = &log}));
  ServerState& s = *r.state;
  r.authorization.emplace(s.registry.get(), s.gate.get(), &clock, std::vector<SpiffeId>());
  r.agents.emplace(td_, s.registry.get(), &s.store->agents(), s.attestor.get(), s.issuer.get(),
                   &clock, &random_);
  r.bundles.emplace(s.bundle.get());
  r.entries.emplace(td_, s.registry.get(), &s.store->entries(), &clock, &random_);
  r.svids.emplace(td_, s.registry.get(), s.issuer.get(), s.bundle.get(), &clock);
  r.pruning.emplace(Pruning::Needs{.agents = &s.store->agents(),
                                   .entries = &s.store->entries(),
                                   .audit = s.audit.get(),
                                   .clock = &clock,
                                   .log = &log,
                                   .agents_expired_for = std::chrono::hours(24),
                                   .non_reattestable = true});
  running_ = std::move(running);
  Status own = RotateOwn();
  if (!own.ok()) running_.reset();
  return own;
}

Status SimServer::RotateOwn() {
  PrivateKey key = TRY(PrivateKey::Generate(KeyType::kEcP256));
  const X509Request request{.id = ServerId(td_), .key = key.Public()};
  std::vector<Result<IssuedX509>> issued =
      running_->state->issuer->IssueX509(std::span(&request, 1), X509Purpose::kServer, "server");
  const IssuedX509 svid = TRY(std::move(issued.front()));
  running_->own_chain = {TRY(Certificate::FromDer(svid.chain.front()))};
  NoteIssued(running_->own_chain.front());
  running_->rotate_own_at = clock.Now() + (svid.not_after - clock.Now()) / 2;
  return OkStatus();
}

Duration SimServer::Step() {
  if (!disk_fails()) HealDisk();
  if (world_->Monotonic() >= clock_off_until) clock.skew = Duration::zero();
  if (!running_) {
    if (world_->Monotonic() < stay_off_until) return stay_off_until - world_->Monotonic();
    if (Status started = Start(); !started.ok()) {
      log.Error("the server does not start", {{"error", started}});
      return kRetryStart;
    }
    ++starts;
  }
  const Time due = running_->state->authorities->Step();
  const Authorities& authorities = *running_->state->authorities;
  if (taint_waits && !authorities.CurrentX509()->tainted && !authorities.CurrentJwt()->tainted) {
    taint_waits = false;
    taint_handled = world_->Monotonic();
  }
  if (clock.Now() >= running_->rotate_own_at) {
    if (Status own = RotateOwn(); !own.ok()) log.Error("own SVID", {{"error", own}});
  }
  running_->pruning->Step();
  return std::clamp<Duration>(due - clock.Now(), seconds(1), kStepEvery);
}

std::string SimServer::NewToken(const SpiffeId& alias) {
  if (!running_) return "";
  const std::string token = random_.Uuid();
  const SpiffeId parent = *SpiffeId::FromPath(td_, "/spire/agent/join_token/" + token);
  const Entry entry{.id = random_.Uuid(),
                    .spiffe_id = alias,
                    .parent_id = parent,
                    .selectors = {{"spiffe_id", parent.text()}},
                    .created_at = ToUnixSeconds(clock.Now())};
  const JoinToken made{token, ToUnixSeconds(clock.Now()) + kTokenSeconds};
  return running_->state->store->agents().CreateToken(made, entry).ok() ? token : "";
}

void SimServer::FailDisk(int error, int changes, MonoTime until) {
  disk_fails_until_ = until;
  // From the first write on: how many there are depends on the sizes of signatures.
  sqlite_disk_.FailLike(error, 0);
  files_->Fail(config_.data_dir, error, changes);
}

void SimServer::HealDisk() {
  sqlite_disk_.Heal();
  files_->Heal(config_.data_dir);
}

void SimServer::NoteIssued(const Certificate& leaf) {
  serial_came_twice |= !serials.insert(leaf.serial().ToDecimal()).second;
}

}  // namespace writ
