// SPDX-License-Identifier: Apache-2.0
//
// SimServer: a real server's state, decisions and API without its listeners: store, keys and audit
// log on a disk that can fail, authorities, registry, issuer, gate. It can crash and start again,
// be away, lose requests and replies. SimConnection: an agent's ServerApi that ends in it, with
// what TLS would check at each connection.
//
// Threads: whoever has the world's turn.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/client/server_api.h"
#include "core/base/random.h"
#include "server/api/agent_api.h"
#include "server/api/authorization.h"
#include "server/api/bundle_api.h"
#include "server/api/entry_api.h"
#include "server/api/svid_api.h"
#include "server/prune.h"
#include "server/state.h"
#include "server/store/faulty_disk_fixture.h"
#include "test/fake/fake_clock.h"
#include "test/fake/faulty_files.h"
#include "test/sim/sim_log.h"
#include "test/sim/world.h"

namespace writ {

// What a server keeps only while it runs.
struct RunningServer {
  std::unique_ptr<ServerState> state;
  std::optional<Authorization> authorization;
  std::optional<AgentApi> agents;
  std::optional<BundleApi> bundles;
  std::optional<EntryApi> entries;
  std::optional<SvidApi> svids;
  std::optional<Pruning> pruning;
  CertificateChain own_chain;
  Time rotate_own_at;
};

class SimServer {
 public:
  SimServer(SimWorld* world, FaultyFiles* files, std::string directory);

  // Tries to start; while it does not run, agents find nobody. Steps its loops: how long until the
  // next.
  Duration Step();
  void Crash() { running_.reset(); }
  RunningServer* running() { return running_.get(); }
  const TrustDomain& td() const { return td_; }
  std::string audit_path() const { return config_.audit_path; }
  std::string keys_path() const { return config_.data_dir + "/keys"; }

  // A join token whose agent stands for `alias` too. Empty while the server cannot.
  std::string NewToken(const SpiffeId& alias);
  // The disk answers `error` until then; at files other than the store's after `changes` more.
  void FailDisk(int error, int changes, MonoTime until);
  void HealDisk();
  bool disk_fails() const { return world_->Monotonic() < disk_fails_until_; }
  // Notes the serial number of a certificate that somebody holds now.
  void NoteIssued(const Certificate& leaf);

  SimClock clock;
  SimLog log;
  // What goes wrong, set by whoever has the turn.
  MonoTime away_until{};        // no connection
  MonoTime stay_off_until{};    // does not start
  MonoTime slow_until{};        // each call takes seconds
  MonoTime clock_off_until{};   // and is right again then
  int lose_requests = 0;        // so many calls are answered Unavailable, not done
  int lose_replies = 0;         // so many calls are done and answered Unavailable
  // A tainted authority waits for its successor, and when the last one got it.
  bool taint_waits = false;
  std::optional<MonoTime> taint_handled;
  // What was seen.
  std::set<std::string> serials;
  bool serial_came_twice = false;
  int starts = 0;
  // The last answer that held the bundle, and what it says: agents that poll get the same one again
  // and again.
  std::string bundle_answer;
  std::optional<Bundle> bundle_answered;

 private:
  Status Start();
  Status RotateOwn();

  SimWorld* const world_;
  FaultyFiles* const files_;
  FaultyDisk sqlite_disk_;
  MonoTime disk_fails_until_{};
  const TrustDomain td_ = *TrustDomain::Parse("example.org");
  SeededRandom random_;
  ServerConfig config_;
  std::unique_ptr<RunningServer> running_;
};

// What a connection's agent has seen, for whoever judges the simulation.
struct Contact {
  bool in_call = false;
  bool called = false;       // since it was last cleared, as is
  bool call_failed = false;
  bool attest_reply_lost = false;
  std::string own_id;  // of the newest SVID that was issued to the agent
  Time own_not_after{};
  std::optional<MonoTime> sync_began;      // of the last SyncEntries that was answered
  std::optional<MonoTime> bundle_fetched;  // when the last bundle was answered
};

std::unique_ptr<ServerApi> ConnectTo(SimServer* server, SimWorld* world, Contact* contact,
                                     ServerApiOptions options);

}  // namespace writ
