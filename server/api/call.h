// SPDX-License-Identifier: Apache-2.0
//
// Call: one RPC on its way through the server: which method, who calls, and what of it the audit
// log must hold before the answer leaves.
//
// Threads: used by one thread at a time.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "core/spiffe/id.h"
#include "server/api/authorization.h"
#include "server/audit/audit_log.h"

namespace writ {

// How a method answers that must not hold its thread until it can. Called once; call and request
// live until then.
template <class Response>
using Reply = std::function<void(Result<Response>)>;

struct Call {
  const MethodRow* row = nullptr;  // constant after construction, as is the caller
  ApiCaller caller;
  std::vector<AuditEvent> events;  // durable before the answer is sent

  // Records a change (or the failure of one) that this call made.
  void Record(std::string action, const Status& outcome, std::string subject,
              Json::Object details = {}) {
    events.push_back({.action = std::move(action),
                      .outcome = outcome.ok() ? "ok" : std::string(CodeName(outcome.code())),
                      .actor = caller.actor,
                      .subject = std::move(subject),
                      .details = std::move(details)});
  }

  // The agent that calls: only for methods whose row allows agents alone.
  const SpiffeId& Agent() const {
    CHECK(caller.id.has_value());
    return *caller.id;
  }
};

}  // namespace writ
