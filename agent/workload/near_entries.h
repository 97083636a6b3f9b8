// SPDX-License-Identifier: Apache-2.0
//
// Which entries came closest to a process that they do not match, and why they do not: for
// operators, who see every entry. Pure.
//
// Threads: functions.
#pragma once

#include <string>
#include <vector>

#include "agent/workload/workload_attestation.h"
#include "core/base/clock.h"
#include "core/spiffe/entry.h"
#include "core/spiffe/packed_entry.h"
#include "core/spiffe/selector.h"

namespace writ {

struct NearEntry {
  Entry entry;
  std::vector<Selector> missing;  // in the entry's order; empty: another reason
  std::string why;                // one sentence
  std::string remedy;             // what an operator can do when nothing is missing; one sentence
};

// What is known of the process.
struct Examined {
  Selectors selectors;
  std::vector<std::string> attestors;  // that were asked
  std::vector<AttestorFailure> failures;
};

inline constexpr size_t kNearEntriesMax = 5;

// Of `entries`, those that lack fewest selectors first, then those that share most.
std::vector<NearEntry> NearestEntries(const std::vector<PackedEntry>& entries,
                                      const Examined& process, Time now);

}  // namespace writ
