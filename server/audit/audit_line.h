// SPDX-License-Identifier: Apache-2.0
//
// An audit event as its line.
#pragma once

#include <string>

#include "core/base/clock.h"
#include "server/audit/audit_log.h"

namespace writ {

// One JSON object and a line break, kAuditLineBytesMax bytes at most.
std::string AuditLine(const AuditEvent& event, Time now);

}  // namespace writ
