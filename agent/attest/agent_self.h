// SPDX-License-Identifier: Apache-2.0
//
// AgentSelf: the agent's own identity: taken from the last run's state, earned by attestation, kept
// fresh by renewal (or by attesting anew, where the agent may), and the trust bundle by which it
// knows the server.
//
// A crash between any two steps leaves an agent that comes back: a new key is durable first, then
// the server signs, then the state file names both, then the SVID is used (which retires the old
// one at the server), and the old key goes last. The one exception: a join token is consumed at
// the server before the agent can write down what it got.
//
// Trust: the server's answers are checked. Threads: Tls() and Verify() by any, the rest by one.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>

#include "agent/attest/bootstrap.h"
#include "agent/attest/server_trust.h"
#include "agent/client/server_api.h"
#include "agent/state/agent_state.h"
#include "attestors/node/node_attestor.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mutex.h"
#include "core/base/random.h"
#include "core/base/status.h"
#include "core/keys/key_manager.h"
#include "core/net/tls.h"

namespace writ {

// How a step ended. Fatal: no retry helps, the agent has to exit; the message says what to do.
struct Outcome {
  Status status;
  bool fatal = false;
  bool ok() const { return status.ok(); }
};

struct AgentSelfOptions {
  TrustDomain trust_domain;
  BootstrapOptions bootstrap;
  bool rebootstrap = true;
  std::string attestor_type;
  // Borrowed.
  NodeProverFactory* prover;
  AgentState* state;
  KeyManager* keys;
  Clock* clock;
  Random* random;
  Log* log;
  HttpFetch fetch;
};

class AgentSelf {
 public:
  explicit AgentSelf(AgentSelfOptions options);

  // For the connections to the server. Nothing, when there is no identity that is still valid.
  std::optional<TlsIdentity> Tls() const EXCLUDES(mu_);
  Status Verify(const ServerChain& chain) { return trust_.Verify(chain); }

  // Whatever is due now: load, bootstrap, attest, renew. OK: there is an identity to call with.
  Outcome Step(ServerApi& server);
  // When Step() has something to do again, as far as is known.
  Time DueAt() const;

  // The server has denied a call. Fatal when the agent is banned; else the next Step() attests.
  Outcome OnDenied(const Status& denied);
  // After a failed call: when it failed because the bundle does not verify the server, reads the
  // configured source again, and takes what it says if that does verify it. An error: why the
  // server stays unverified.
  Status Rebootstrap(ServerApi& server);

  std::shared_ptr<const Bundle> bundle() const { return trust_.bundle(); }
  // The bundle that the server says now: kept on disk, and trusted from here on. An own SVID that
  // it no longer verifies leads to attestation.
  void TakeBundle(Bundle bundle, ServerApi& server);
  // Renews soon when the agent's SVID was signed by one of these (raw subject key IDs).
  void OnTainted(const std::set<std::string>& authority_key_ids);

 private:
  struct Identity {
    std::string key_name;
    std::shared_ptr<Signer> signer;
    std::vector<Certificate> chain;
    bool reattestable = false;
    const Certificate& leaf() const { return chain.front(); }
  };
  struct NewKey {
    std::string name;
    std::shared_ptr<Signer> signer;
    std::string csr_der;
  };

  Status CheckOwn(const Bundle& bundle) const EXCLUDES(mu_);
  void Trust(Bundle bundle, ServerApi& server);
  void StoreBundle(const Bundle& bundle);
  Status Load();
  Result<std::optional<Identity>> LoadIdentity();
  Outcome Bootstrap(ServerApi& server);
  Outcome Attest(ServerApi& server);
  Outcome Renew(ServerApi& server);
  Outcome RenewEarly(ServerApi& server);
  Result<NewKey> MakeKey();
  Outcome AttestRefused(const Status& status) const;
  Status Save(Identity identity, ServerApi& server);
  Status SaveUnsaved(ServerApi& server);
  void Use(Identity identity) EXCLUDES(mu_);
  void RemoveKey(const std::string& name);
  void RemoveOtherKeys(const std::string& keep);
  bool Valid(const Identity& identity) const;

  const AgentSelfOptions options_;  // constant after construction
  ServerTrust trust_;               // its own lock

  // Used by the one thread that steps.
  bool loaded_ = false;
  bool must_attest_ = false;
  bool bundle_stored_ = true;  // the one that is trusted, unless the configured source has it
  std::optional<Identity> unsaved_;  // got from the server, not yet on disk: not used either
  Time renew_at_;
  std::set<std::string> tainted_;  // authorities that were tainted at the last look

  mutable Mutex mu_;
  std::optional<Identity> identity_ GUARDED_BY(mu_);
};

}  // namespace writ
