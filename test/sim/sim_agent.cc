// SPDX-License-Identifier: Apache-2.0
#include "test/sim/sim_agent.h"

#include <utility>

namespace writ {

SimAgent::SimAgent(SimWorld* world, SimServer* server, FaultyFiles* files, SimAgentOptions options)
    : clock(world),
      log(world, "agent " + std::to_string(options.number)),
      world_(world),
      server_(server),
      files_(files),
      options_(std::move(options)),
      name_("agent-" + std::to_string(options_.number)),
      data_dir_(options_.directory + "/data"),
      alias_(*SpiffeId::FromPath(server->td(), "/node-" + std::to_string(options_.number))),
      random_(world->random()) {
  CHECK(MakeDirectories(data_dir_, 0700).ok());
  // The loop waits only between turns: what a turn has brought is in the cache by then. It may wait
  // several times between two turns, to take out what ends: only the first follows a turn.
  clock.on_wait = [this] {
    skew_noticed = clock.skew;
    if (!std::exchange(contact.called, false)) return;
    if (contact.sync_began) synced_as_of = contact.sync_began;
    in_step = contact.sync_began.has_value() && !contact.call_failed;
    contact.call_failed = false;
  };
}

void SimAgent::Provision() {
  const std::string bundle = ToPem(*server_->running()->state->bundle->Current());
  CHECK(WriteFileAtomic(options_.directory + "/bootstrap.pem", bundle, 0644).ok());
}

Status SimAgent::Start(const std::string& token) {
  CHECK(!started());
  lock_ = TRY(FileLock::Take(data_dir_ + "/lock"));
  keys_ = TRY(OpenDiskKeys(data_dir_ + "/keys"));
  prover_.token = token;
  cache_ = Cache::Make(&clock, options_.limits);
  loop_ = AgentLoop::Make(AgentLoopOptions{
      .trust_domain = server_->td(),
      .bootstrap = {.bundle_file = options_.directory + "/bootstrap.pem"},
      .data_dir = data_dir_,
      .agent_version = "simulated",
      .sync_interval = options_.sync_interval,
      .attestor_type = "join_token",
      .prover = &prover_,
      .keys = keys_.get(),
      .cache = cache_.get(),
      .clock = &clock,
      .random = &random_,
      .log = &log,
      .connect =
          [this](ServerApiOptions options) {
            return ConnectTo(server_, world_, &contact, std::move(options));
          },
      .fetch_in_flight = false,
      // The server has no notices here, so that the call ends at once: in its caller's turn.
      .start_thread =
          [](const std::string&, const std::function<void(std::stop_token)>& body) {
            body(std::stop_token());
            return Thread();
          },
  });
  stop_ = std::stop_source();
  actor_ = world_->Start(name_, [this] { end = loop_->Run(stop_.get_token()); });
  return OkStatus();
}

void SimAgent::Kill() {
  if (!started()) return;
  stop_.request_stop();
  world_->Finish(std::exchange(actor_, nullptr));
  const CacheCounts counts = cache_->Counts();
  x509_given_up += counts.x509_given_up;
  jwt_given_up += counts.jwt_given_up;
  workloads_.clear();
  loop_.reset();
  cache_.reset();
  keys_.reset();
  lock_.reset();
  synced_as_of.reset();
  in_step = false;
  contact.sync_began.reset();
  contact.bundle_fetched.reset();
  contact.called = false;
  contact.call_failed = false;
  contact.in_call = false;
}

void SimAgent::ComeOrGo(int uid, Selectors selectors) {
  if (workloads_.erase(uid) > 0) return;
  auto nothing = [] {};  // whoever looks at the cache looks by itself
  workloads_[uid] = {cache_->Subscribe(std::move(selectors), Interest::kX509, nothing),
                     world_->Monotonic()};
}

std::optional<MonoTime> SimAgent::ServesSince(int uid) const {
  const auto at = workloads_.find(uid);
  if (at == workloads_.end()) return std::nullopt;
  return at->second.since;
}

void SimAgent::FailDisk(int error, int changes, MonoTime until) {
  disk_fails_until_ = until;
  files_->Fail(data_dir_, error, changes);
}

void SimAgent::Step() {
  if (world_->Monotonic() >= disk_fails_until_) files_->Heal(data_dir_);
}

}  // namespace writ
