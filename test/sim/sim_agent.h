// SPDX-License-Identifier: Apache-2.0
//
// SimAgent: a real agent's loop, cache and token source as an actor of the world, its keys and its
// state on a disk that can fail, and the workloads that come to it. It can be killed and started
// again on what it kept.
//
// Threads: whoever has the world's turn.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "agent/cache/cache.h"
#include "agent/sync/agent_loop.h"
#include "core/base/file.h"
#include "core/keys/key_manager.h"
#include "test/fake/fake_prover.h"
#include "test/fake/faulty_files.h"
#include "test/sim/sim_server.h"
#include "test/sim/world.h"

namespace writ {

struct SimAgentOptions {
  int number;
  std::string directory;
  Duration sync_interval;
  CacheLimits limits;
};

class SimAgent {
 public:
  SimAgent(SimWorld* world, SimServer* server, FaultyFiles* files, SimAgentOptions options);
  ~SimAgent() { Kill(); }
  SimAgent(const SimAgent&) = delete;
  SimAgent& operator=(const SimAgent&) = delete;

  // What an operator brings to its machine: the bundle as it is now.
  void Provision();
  // With `token`, should it have to attest. Fails where its disk does.
  Status Start(const std::string& token);
  void Kill();
  bool started() const { return actor_ != nullptr; }
  bool ended() const { return started() && world_->Finished(actor_); }

  // What entries for this agent have as their parent: the alias of its join tokens.
  const SpiffeId& alias() const { return alias_; }
  Cache* cache() { return cache_.get(); }
  AgentLoop* loop() { return loop_.get(); }
  size_t keys_held() const { return keys_->List()->size(); }
  const CacheLimits& limits() const { return options_.limits; }
  Duration sync_interval() const { return options_.sync_interval; }

  // A workload of this kind comes, or the one that is here goes.
  void ComeOrGo(int uid, Selectors selectors);
  // Since when a workload of this kind is here.
  std::optional<MonoTime> ServesSince(int uid) const;

  // After `changes` more that the disk makes it answers `error` to all others, until then.
  void FailDisk(int error, int changes, MonoTime until);
  // Ends what has an end.
  void Step();

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
  // What was given up for want of room, by all caches before this one.
  uint64_t x509_given_up = 0;
  uint64_t jwt_given_up = 0;

 private:
  struct Workload {
    std::unique_ptr<Subscription> subscription;
    MonoTime since;
  };

  SimWorld* const world_;
  SimServer* const server_;
  FaultyFiles* const files_;
  const SimAgentOptions options_;
  const std::string name_;
  const std::string data_dir_;
  const SpiffeId alias_;
  SeededRandom random_;
  TokenProver prover_{""};
  MonoTime disk_fails_until_{};
  std::optional<FileLock> lock_;
  std::unique_ptr<KeyManager> keys_;
  std::map<int, Workload> workloads_;  // by uid
  std::shared_ptr<Cache> cache_;
  std::unique_ptr<AgentLoop> loop_;
  std::stop_source stop_;
  SimWorld::Actor* actor_ = nullptr;
};

}  // namespace writ
