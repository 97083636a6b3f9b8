// SPDX-License-Identifier: Apache-2.0
#include "test/sim/sim_agent.h"

#include <utility>

#include "core/base/file.h"

namespace writ {

SimAgent::SimAgent(SimWorld* world, SimServer* server, int number, std::string directory,
                   Duration sync_interval)
    : clock(world),
      log(world, "agent " + std::to_string(number)),
      world_(world),
      server_(server),
      name_("agent-" + std::to_string(number)),
      directory_(std::move(directory)),
      sync_interval_(sync_interval),
      alias_(*SpiffeId::FromPath(server->td(), "/node-" + std::to_string(number))),
      random_(world->random()) {
  CHECK(MakeDirectories(directory_, 0700).ok());
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

void SimAgent::Start(const std::string& token) {
  CHECK(!started());
  prover_.token = token;
  cache_ = Cache::Make(&clock, {});
  loop_ = AgentLoop::Make(AgentLoopOptions{
      .trust_domain = server_->td(),
      .bootstrap = {.bundle_file = directory_ + "/bootstrap.pem"},
      .data_dir = directory_,
      .agent_version = "simulated",
      .sync_interval = sync_interval_,
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
  });
  const std::string bundle = ToPem(*server_->running()->state->bundle->Current());
  CHECK(WriteFileAtomic(directory_ + "/bootstrap.pem", bundle, 0644).ok());
  stop_ = std::stop_source();
  actor_ = world_->Start(name_, [this] { end = loop_->Run(stop_.get_token()); });
}

void SimAgent::Kill() {
  if (!started()) return;
  stop_.request_stop();
  world_->Finish(std::exchange(actor_, nullptr));
  loop_.reset();
  cache_.reset();
  synced_as_of.reset();
  in_step = false;
  contact.sync_began.reset();
  contact.bundle_fetched.reset();
  contact.called = false;
  contact.call_failed = false;
  contact.in_call = false;
}

}  // namespace writ
