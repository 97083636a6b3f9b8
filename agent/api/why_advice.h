// SPDX-License-Identifier: Apache-2.0
//
// What to do about an answer to "why", one sentence each, the most pressing first. Pure.
//
// Threads: functions.
#pragma once

#include <string>
#include <vector>

#include "agent/workload/near_entries.h"
#include "writ/v1/why.pb.h"

namespace writ {

// For one who may use the admin socket. `nearest`: those of the answer, and what more is known of
// them. `parent`: below which a new entry should stand; empty before the agent has attested.
std::vector<std::string> AdviceForOperator(const v1::ExplainWorkloadResponse& answer,
                                           const std::vector<NearEntry>& nearest,
                                           const std::string& parent);

// For the process itself: of nothing that is not in its answer.
std::vector<std::string> AdviceForWorkload(const v1::ExplainWorkloadResponse& answer);

}  // namespace writ
