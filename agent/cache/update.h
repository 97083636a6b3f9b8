// SPDX-License-Identifier: Apache-2.0
//
// What a workload sees of an update, and what it is to see.
//
// Threads: pure functions.
#pragma once

#include <memory>
#include <vector>

#include "agent/cache/cache.h"

namespace writ {

// As a workload sees a bundle: neither its sequence number nor which authorities are tainted.
bool SameBundle(const std::shared_ptr<const Bundle>& a, const std::shared_ptr<const Bundle>& b);
bool SameUpdate(const WorkloadUpdate& a, const WorkloadUpdate& b);

// Of the entries with the same hint the oldest stays, then the one with the smallest ID.
void KeepHintsUnique(std::vector<Identity>& matches);

// Tokens of a tainted authority are valid still, but not for long.
bool IsTrusted(const Bundle& bundle, const HeldJwt& jwt);

}  // namespace writ
