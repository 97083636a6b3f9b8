// SPDX-License-Identifier: Apache-2.0
//
// AgentGate: is this caller an agent that may speak now? Asked once on each of an agent's calls:
// attested, not banned, its certificate not expired, and the certificate's serial number the
// current one, or the pending one of a renewal, which thereby becomes current and retires the old
// one.
//
// Trust: the certificate was verified against the bundle at the handshake; nothing else is known.
// Threads: thread-safe. Admit() may write to the store (a first use), so it may block.
#pragma once

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/crypto/x509.h"
#include "core/spiffe/id.h"
#include "server/entry/registry.h"
#include "server/store/store.h"

namespace writ {

// Why an agent was refused: the reason() of its PermissionDenied status. The numbers are those of
// spire.api.types.PermissionDeniedDetails.Reason; agents act on them.
enum class AgentDenial {
  kExpired = 1,
  kNotAttested = 2,
  kNotActive = 3,
  kBanned = 4,
  kMustReattest = 5,
};
Status DenyAgent(AgentDenial why, std::string message);

class AgentGate {
 public:
  AgentGate(const Registry* registry, AgentStore* store, Clock* clock)
      : registry_(registry), store_(store), clock_(clock) {}

  // `leaf`: the certificate that the caller holds a connection with.
  Status Admit(const SpiffeId& id, const Certificate& leaf) const;

 private:
  Status Promote(const SpiffeId& id, const std::string& serial) const;

  const Registry* const registry_;  // all borrowed
  AgentStore* const store_;
  Clock* const clock_;
};

}  // namespace writ
