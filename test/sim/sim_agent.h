// SPDX-License-Identifier: Apache-2.0
//
// SimAgent: a real agent's loop, cache and token source as an actor of the world. It can be killed
// and started again on what it kept.
//
// Threads: whoever has the world's turn.
#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "agent/cache/cache.h"
#include "agent/sync/agent_loop.h"
#include "core/keys/key_manager.h"
#include "test/fake/fake_prover.h"
#include "test/sim/sim_server.h"
#include "test/sim/world.h"

namespace writ {

class SimAgent {
 public:
  SimAgent(SimWorld* world, SimServer* server, int number, std::string directory,
           Duration sync_interval);
  ~SimAgent() { Kill(); }
  SimAgent(const SimAgent&) = delete;
  SimAgent& operator=(const SimAgent&) = delete;

  // With `token`, should it have to attest.
  void Start(const std::string& token);
  void Kill();
  bool started() const { return actor_ != nullptr; }
  bool ended() const { return started() && world_->Finished(actor_); }

  // What entries for this agent have as their parent: the alias of its join tokens.
  const SpiffeId& alias() const { return alias_; }
  Cache* cache() { return cache_.get(); }
  AgentLoop* loop() { return loop_.get(); }
  size_t keys_held() const { return keys_->List()->size(); }

  SimClock clock;
  SimLog log;
  Contact contact;
  Status end;  // of the loop, once it has ended
  // Since when the entries in the cache are those of the server, as far as the agent was told: the
  // beginning of the last sync that was applied.
  std::optional<MonoTime> synced_as_of;
  Duration skew_noticed{};      // of its clock, when the loop last began to wait
  bool in_step = false;         // and nothing has failed in that turn
  bool may_be_refused = false;  // it was evicted, or its attestation's answer was lost

 private:
  SimWorld* const world_;
  SimServer* const server_;
  const std::string name_;
  const std::string directory_;
  const Duration sync_interval_;
  const SpiffeId alias_;
  SeededRandom random_;
  TokenProver prover_{""};
  const std::unique_ptr<KeyManager> keys_ = MakeMemoryKeys();
  std::shared_ptr<Cache> cache_;
  std::unique_ptr<AgentLoop> loop_;
  std::stop_source stop_;
  SimWorld::Actor* actor_ = nullptr;
};

}  // namespace writ
