// SPDX-License-Identifier: Apache-2.0
//
// AuditLog: what was issued, refused and changed, one JSON line each. Append() returns, and
// AppendThen() calls back, when the event is durable; concurrent events share one fsync (group
// commit). Nothing leaves the server before its event is here. No secret is ever an event's field.
//
// When an event cannot be written it is Unavailable and nothing of it is left behind; each later
// append tries to make the file good first.
//
// Threads: thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/status.h"

namespace writ {

struct AuditEvent {
  std::string action;   // "x509_svid.issue", "jwt_svid.issue", "agent.attest", "entry.create", ...
  std::string outcome;  // "ok", or the status code's name
  std::string actor;    // SPIFFE ID, "unix:uid:0" on the admin socket, or "server"
  std::string subject;  // what it was done to: SPIFFE ID, entry ID ...
  Json::Object details; // e.g. serial, not_after, entry_id, audience, authority_id; its members
                        // stand beside those above and have other names than theirs
};

class AuditLog {
 public:
  virtual ~AuditLog() = default;
  // Holds no thread while the disk works, so that many calls can wait for one sync. `done` is
  // called once, from whatever thread wrote or before this returns; it is short, and it does not
  // call the log. ResourceExhausted when kAuditWaitingMax others wait already.
  virtual void AppendThen(std::span<const AuditEvent> events, std::function<void(Status)> done) = 0;
  // The same for a caller that may block.
  virtual Status Append(std::span<const AuditEvent> events) = 0;
  Status Append(const AuditEvent& event) { return Append(std::span(&event, 1)); }
  // OK while events are written. Where the last one could not be, this tries one that says so
  // ("audit_log.resume") and returns what came of it.
  virtual Status Check() = 0;
  // Goes on in a new file where the old one was moved away (log rotation, SIGHUP). A failure leaves
  // the file in use as it is.
  virtual Status Reopen() = 0;
};

// A line over this has "details_omitted" in place of its details.
inline constexpr size_t kAuditLineBytesMax = 64 << 10;
inline constexpr size_t kAuditWaitingMax = 10'000;

// JSON lines in `path` (0600), appended; a torn last line of a crash is cut off at opening.
Result<std::unique_ptr<AuditLog>> OpenFileAuditLog(const std::string& path, Clock* clock);

}  // namespace writ
