// SPDX-License-Identifier: Apache-2.0
//
// ServerState: all that a server keeps and decides with, opened in the order in which one needs the
// other: the data directory and its lock, keys, store, registry, bundle, authorities, audit log,
// issuer. No listener is here.
//
// Lifetime: one per process and data directory; Close() after the last use.
#pragma once

#include <memory>
#include <optional>

#include "attestors/node/verifiers.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/random.h"
#include "core/base/status.h"
#include "core/keys/key_manager.h"
#include "server/attest/agent_gate.h"
#include "server/attest/attestation.h"
#include "server/audit/audit_log.h"
#include "server/bundle/bundle_holder.h"
#include "server/ca/authorities.h"
#include "server/config.h"
#include "server/entry/registry.h"
#include "server/issue/issuer.h"
#include "server/store/store.h"

namespace writ {

struct ServerKit {
  Clock* clock;  // all borrowed
  Random* random;
  AdjustableLog* log;
};

struct ServerState {
  static Result<std::unique_ptr<ServerState>> Open(const ServerConfig& config,
                                                   const ServerKit& kit);

  // Constant after Open(). Destroyed from the bottom up.
  std::optional<FileLock> lock;
  std::unique_ptr<KeyManager> keys;
  std::unique_ptr<Store> store;
  std::unique_ptr<Registry> registry;
  std::unique_ptr<BundleHolder> bundle;
  std::unique_ptr<Authorities> authorities;
  std::unique_ptr<AuditLog> audit;
  std::unique_ptr<Issuer> issuer;
  std::optional<NodeVerifiers> verifiers;
  std::unique_ptr<Attestor> attestor;
  std::unique_ptr<AgentGate> gate;
};

// Makes the data directory where there is none, and locks it: one process at a time.
Result<FileLock> TakeDataDirectory(const ServerConfig& config);
Result<std::unique_ptr<KeyManager>> OpenKeys(const ServerConfig& config);

// Checks by the files and rights that are there whether a start would find what it needs, and
// changes nothing; a data directory that is not there yet is no failure, a port that is in use is
// not looked at. `deep`: the store's whole integrity.
Status ValidateData(const ServerConfig& config, bool deep);

}  // namespace writ
