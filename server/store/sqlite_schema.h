// SPDX-License-Identifier: Apache-2.0
//
// The schema of the SQLite store and the steps that lead to it from every version before.
#pragma once

#include <span>

#include "core/base/status.h"
#include "server/store/sqlite.h"

namespace writ {

// Step i leads from version i to version i + 1. Steps that were released are never edited.
std::span<const char* const> SchemaSteps();

// The version that the file has; 0 when it is empty. FailedPrecondition when it is a newer one than
// `steps` lead to, or when the file is of another program.
Result<int64_t> SchemaVersion(Sqlite& db, std::span<const char* const> steps = SchemaSteps());

// FailedPrecondition when the file holds anything but the tables and indexes of its version, such
// as a trigger, which would run with the server's own writes.
Status CheckSchema(Sqlite& db, std::span<const char* const> steps = SchemaSteps());

// Brings the file to the last version, each step in a transaction of its own.
Status Migrate(Sqlite& db, std::span<const char* const> steps = SchemaSteps());

}  // namespace writ
