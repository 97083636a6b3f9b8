// SPDX-License-Identifier: Apache-2.0
//
// FakeServer: a server as an agent sees it, in memory: authorities that sign for real, agents with
// their current and pending serials, join tokens, entries by revision. What goes wrong is data:
// away, lost replies, refusals, a clock that differs.
//
// Threads: thread-safe.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/client/server_api.h"
#include "core/base/clock.h"
#include "core/base/mutex.h"
#include "core/base/random.h"
#include "core/keys/key_manager.h"

namespace writ {

class FakeServer {
 public:
  FakeServer(TrustDomain td, Clock* clock, Random* random);

  // A connection's two ends; the server's identity is shown to `options.verify` at each connect.
  std::unique_ptr<ServerApi> Connect(ServerApiOptions options);

  void PutEntry(Entry entry);  // created, or updated with the next revision
  void RemoveEntry(const std::string& id);
  void AddToken(const std::string& token);
  void Ban(const std::string& agent_id);
  void DeleteAgent(const std::string& agent_id);
  // A new X.509 authority signs from now on; the old ones stay in the bundle.
  void RotateAuthority();
  void TaintOldAuthorities();
  // Gone from the bundle altogether.
  void DropOldAuthorities();
  Bundle CurrentBundle() const;

  // Settings, at any time.
  struct Knobs {
    bool away = false;
    bool notices = false;                  // tells of changes as they happen; else Unimplemented
    bool intermediate = false;             // between an authority and what it signs, as with an
                                           // upstream authority
    bool reattestable = false;             // agents may attest again; any token works
    int lose_replies = 0;                  // so many calls are done and then answered Unavailable
    std::map<std::string, Status> refuse;  // by method's name, until taken out
    std::set<std::string> refuse_entries;  // NotFound in batches
    size_t batch_max = 500;                // of X.509-SVIDs; ResourceExhausted beyond
    Duration skew{};                       // of the server's clock
    Duration x509_ttl = std::chrono::hours(1);
    Duration agent_ttl = std::chrono::hours(1);
    Duration jwt_ttl = std::chrono::minutes(5);
    // Run inside NewJwtSvid and NewX509Svids, with no lock held.
    std::function<void()> before_jwt;
    std::function<void(const std::vector<SvidRequest>&)> before_x509;
  };
  void Set(const std::function<void(Knobs&)>& change);
  // Streams of notices end, as when their connection is lost.
  void LoseStreams();

  int Calls(const std::string& method) const;
  size_t largest_batch() const;

 private:
  friend class FakeConnection;
  struct Authority {
    std::shared_ptr<Signer> signer;
    std::shared_ptr<Certificate> certificate;
    std::string jwt_key_id;
    bool tainted = false;
  };
  struct Agent {
    std::string serial;
    std::string pending_serial;
    bool banned = false;
  };

  void Changed(const std::string& id) REQUIRES(mu_);
  bool Goes(uint64_t lost, const std::stop_token& stop) const REQUIRES(mu_);
  Notice NoticeSince(uint64_t after) const REQUIRES(mu_);

  Time Now() const REQUIRES(mu_) { return clock_->Now() + knobs_.skew; }
  void AddAuthority() REQUIRES(mu_);
  CertificateChain Sign(const SpiffeId& id, const PublicKey& key, Duration ttl) REQUIRES(mu_);
  Bundle BundleNow() const REQUIRES(mu_);
  Status Begin(const std::string& method) REQUIRES(mu_);
  Status End() REQUIRES(mu_);
  Result<std::string> Authorize(const std::optional<TlsIdentity>& identity) REQUIRES(mu_);

  const TrustDomain td_;
  Clock* const clock_;
  Random* const random_;
  mutable Mutex mu_;
  Knobs knobs_ GUARDED_BY(mu_);
  std::vector<Authority> authorities_ GUARDED_BY(mu_);  // the last one signs
  uint64_t sequence_number_ GUARDED_BY(mu_) = 0;
  CertificateChain own_chain_ GUARDED_BY(mu_);
  std::map<std::string, Entry> entries_ GUARDED_BY(mu_);
  std::set<std::string> tokens_ GUARDED_BY(mu_);
  std::map<std::string, Agent> agents_ GUARDED_BY(mu_);  // by SPIFFE ID
  std::map<std::string, int> calls_ GUARDED_BY(mu_);
  size_t largest_batch_ GUARDED_BY(mu_) = 0;
  int tokens_made_ GUARDED_BY(mu_) = 0;
  // What streams of notices wait for: the IDs of changed entries, "" for the bundle.
  CondVar changed_;
  std::vector<std::string> changes_ GUARDED_BY(mu_);
  uint64_t streams_lost_ GUARDED_BY(mu_) = 0;
};

}  // namespace writ
