// SPDX-License-Identifier: Apache-2.0
//
// Simulation: a trust domain's life under one seed: a server and its agents, and everything that
// goes wrong around them. What must always hold is looked at all the time; the first thing that
// does not hold ends the simulation.
//
// Threads: one that makes and runs it.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "test/sim/sim_agent.h"
#include "test/sim/sim_server.h"
#include "test/sim/world.h"
#include "test/support/paths.h"

namespace writ {

struct SimulationOptions {
  uint64_t seed;
  Duration life;
  int agents;
  int entries_per_agent;
  Duration sync_interval;  // of one agent; the others' are two and three times as long
  Duration taint_every = Duration::zero();  // on average; zero: never
};

class Simulation {
 public:
  explicit Simulation(SimulationOptions options);

  // Empty when all held; otherwise what did not, when, and what the programs said last.
  std::string Run();

  // What happened, so that a test can tell a life from an idle one.
  struct Counts {
    int looks = 0;
    int verified = 0;
    int jwts = 0;
    int entry_changes = 0;
    int server_starts = 0;
    int agent_starts = 0;
    size_t x509_issued = 0;
    size_t authorities_seen = 0;
    int taints = 0;
    int file_faults = 0;  // changes of files, beside the store's, that failed
    uint64_t x509_given_up = 0;  // by caches that were full
    uint64_t jwt_given_up = 0;   // likewise
  };
  const Counts& counts() const { return counts_; }

 private:
  // One version of an entry, and until when it was the server's.
  struct Version {
    Entry entry;
    MonoTime since;
    MonoTime until = MonoTime::max();
  };

  // What happens.
  void Schedule();
  void StartAgents();
  Duration ChangeAnEntry();
  void CreateEntry(SimAgent& agent);
  void Observe(const std::string& entry_id);
  Duration ComeOrGo();
  Duration Trouble();
  void FailADisk(MonoTime until);
  void EvictSomeAgent();
  Duration Taint();
  Duration KeepAgentsRunning();

  // What must hold.
  Duration Look();
  void LookAtAgent(SimAgent& agent);
  void LookAtEntries(SimAgent& agent, int uid);
  void LookAtLimits(SimAgent& agent);
  void LookAtRecovery(SimAgent& agent);
  void LookAtHeld(SimAgent& agent, const Identity& identity);
  void VerifyAtPeers();
  void VerifyJwt(SimAgent& agent);
  void VerifyOneJwt(SimAgent& agent, const Entry& entry, const std::vector<std::string>& audience);
  void LookAtServer();
  void LookAtAudit();
  void LookAtTaints(SimAgent& agent, const Identity& identity);
  bool HasSeenBundle(const SimAgent& verifier) const;
  void Expect(bool holds, const std::string& sentence);

  Selectors SelectorsOf(int uid) const;
  SimAgent& AnyAgent();

  const SimulationOptions options_;
  // In memory where there is such a place: nothing here is about a real disk.
  TempDir directory_{"/dev/shm"};
  SimWorld world_;
  FaultyFiles files_;
  SimServer server_;
  std::vector<std::unique_ptr<SimAgent>> agents_;
  std::map<std::string, std::vector<Version>> history_;  // by entry ID, oldest first
  std::set<std::string> authorities_;
  int entries_made_ = 0;
  std::optional<MonoTime> brought_for_taint_;  // the taint after which all got the new bundle
  MonoTime trouble_until_{};  // the last of what goes wrong has ended by then
  Counts counts_;
  std::string failure_;
};

}  // namespace writ
