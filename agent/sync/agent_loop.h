// SPDX-License-Identifier: Apache-2.0
//
// AgentLoop: the agent's life in one thread: bootstrap, attest, keep the agent's own SVID fresh,
// follow or sync entries and bundle, rotate the workloads' SVIDs, and write all of it to the cache.
// A server that is away is retried with backoff, for ever; what is held is served as long as it is
// valid.
//
// Threads: Run() by one thread; Ready(), Follows() and jwts() by any. Lifetime: what the options
// borrow, and the callers of jwts(), must end before the loop is destroyed.
#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "agent/attest/bootstrap.h"
#include "agent/cache/cache.h"
#include "agent/client/server_api.h"
#include "agent/svid/jwt_source.h"
#include "agent/sync/notice_reader.h"
#include "attestors/node/node_attestor.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/random.h"
#include "core/base/status.h"
#include "core/crypto/x509.h"
#include "core/keys/key_manager.h"
#include "core/spiffe/id.h"

namespace writ {

struct AgentLoopOptions {
  TrustDomain trust_domain;
  std::string server_address;  // "host:port"
  BootstrapOptions bootstrap;
  // Whether to read the source again when the kept bundle no longer verifies the server.
  bool rebootstrap = true;
  std::string data_dir;  // exists; holds the state file and the last bundle
  std::string agent_version;
  Duration sync_interval = std::chrono::seconds(5);
  KeyType svid_key_type = KeyType::kEcP256;  // of workloads' SVIDs
  std::string attestor_type;                 // "join_token"
  // Borrowed.
  NodeProverFactory* prover = nullptr;
  KeyManager* keys = nullptr;
  Cache* cache = nullptr;
  Clock* clock = nullptr;
  Random* random = nullptr;
  Log* log = nullptr;
  // What tests replace.
  MakeServerApi connect = MakeGrpcServerApi;
  bool fetch_in_flight = true;  // false: the loop waits for each call, all on one thread
  HttpFetch fetch;  // empty: core/net's HttpGet
  StartThread start_thread = StartAThread;  // of the reader of notices
};

// Since the start.
struct LoopCounts {
  uint64_t turns_done = 0;    // in step with the server afterwards
  uint64_t turns_failed = 0;
  uint64_t x509_issued = 0;   // workloads' SVIDs, renewals among them
  uint64_t x509_refused = 0;  // answers that were no SVID
  Duration last_turn{};       // how long it took
};

class AgentLoop {
 public:
  static std::unique_ptr<AgentLoop> Make(AgentLoopOptions options);
  virtual ~AgentLoop() = default;

  // OK after a stop request. A failure means that the agent must exit (non-zero): it is banned, its
  // configuration or token is refused, or it cannot re-attest; the message says what to do.
  virtual Status Run(std::stop_token stop) = 0;
  // Unavailable, with the reason, until the first sync is done.
  virtual Status Ready() const = 0;
  // Whether the server tells of changes as they happen; else the agent polls.
  virtual bool Follows() const = 0;
  virtual JwtSource& jwts() = 0;
  // The agent's own certificate; nothing before the attestation, or once it has ended.
  virtual std::optional<Certificate> OwnCertificate() const = 0;
  virtual LoopCounts Counts() const = 0;
};

}  // namespace writ
