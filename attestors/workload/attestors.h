// SPDX-License-Identifier: Apache-2.0
//
// The table of workload attestors: every kind that there is, with its settings.
#pragma once

#include <memory>
#include <vector>

#include "attestors/unix/unix_attestor.h"
#include "attestors/workload/workload_attestor.h"
#include "core/base/clock.h"

namespace writ {

struct WorkloadAttestorSettings {
  UnixAttestorOptions unix_options;
};

// Every attestor, ready to use. `clock` is borrowed.
std::vector<std::unique_ptr<WorkloadAttestor>> MakeWorkloadAttestors(
    const WorkloadAttestorSettings& settings, Clock* clock);

}  // namespace writ
