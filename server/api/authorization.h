// SPDX-License-Identifier: Apache-2.0
//
// Who may call what: one table of every method of SPIRE's server API (and of health and
// reflection), and the one decision that each call passes before its function runs. What is not in
// the table cannot be registered; what a row does not allow is denied.
//
// Trust: a TLS caller's chain was verified at the handshake; its expiry is checked again here.
// Threads: immutable; Check() may block (an agent's first use of a renewed SVID is a store write).
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/crypto/x509.h"
#include "core/spiffe/id.h"
#include "server/attest/agent_gate.h"
#include "server/entry/registry.h"

namespace writ {

// The kinds of callers, as a set.
enum AllowedCallers : unsigned {
  kAny = 1 << 0,         // also one that shows no certificate
  kLocal = 1 << 1,       // the admin Unix socket
  kAdmin = 1 << 2,       // an entry with `admin`, or an ID of the configuration's admin_ids
  kAgent = 1 << 3,       // an agent that AgentGate admits
  kDownstream = 1 << 4,  // an entry with `downstream`
};

// Which calls from one address share a rate limit (rate_limits.h).
enum class RateClass {
  kNotSaid,  // by a row that forgot it: does not compile
  kNoLimit,
  kAttestation,
  kX509,  // by the certificate
  kJwt,
  kWit,
  kPublish,
  kPostStatus,
};

struct MethodRow {
  const char* full_name;           // "/package.Service/Method", as on the wire
  unsigned allowed;                // AllowedCallers
  RateClass rate;                  // each row says it
  bool recorded = false;           // changes what is stored, which the audit log has to tell
  bool admin_socket_only = false;  // its service is not registered on TCP

  std::string_view service() const;  // "package.Service"
  std::string_view method() const;   // "Method"
};

std::span<const MethodRow> AllMethods();
// Null when there is none.
const MethodRow* FindMethod(std::string_view full_name);

// Who is calling, as far as the connection tells.
struct ApiCaller {
  bool local = false;
  std::optional<SpiffeId> id;       // of a TLS caller with a certificate
  std::optional<Certificate> leaf;  // likewise
  std::string address;              // remote IP; empty on the admin socket
  std::string actor;                // for logs and the audit: SPIFFE ID, "unix:uid:0", "anonymous"
};

class Authorization {
 public:
  Authorization(const Registry* registry, const AgentGate* gate, Clock* clock,
                std::vector<SpiffeId> admin_ids)
      : registry_(registry), gate_(gate), clock_(clock), admin_ids_(std::move(admin_ids)) {}

  // PermissionDenied unless `caller` is of a kind that the row allows; for agents with the
  // reason().
  Status Check(const MethodRow& row, const ApiCaller& caller) const;

 private:
  Status Decide(const MethodRow& row, const ApiCaller& caller) const;
  bool IsAdmin(const SpiffeId& id) const;
  bool HasEntry(const SpiffeId& id, bool Entry::*flag) const;

  const Registry* const registry_;  // all borrowed
  const AgentGate* const gate_;
  Clock* const clock_;
  const std::vector<SpiffeId> admin_ids_;
};

}  // namespace writ
