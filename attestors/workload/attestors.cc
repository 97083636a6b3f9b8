// SPDX-License-Identifier: Apache-2.0
#include "attestors/workload/attestors.h"

#include "core/base/status.h"

namespace writ {
namespace {

struct Row {
  const char* name;  // also the selectors' type
  std::unique_ptr<WorkloadAttestor> (*make)(const WorkloadAttestorSettings& settings, Clock* clock);
};

constexpr Row kAttestors[] = {
    {"unix",
     [](const WorkloadAttestorSettings& settings, Clock* clock) {
       return MakeUnixAttestor(settings.unix_options, clock);
     }},
};

}  // namespace

std::vector<std::unique_ptr<WorkloadAttestor>> MakeWorkloadAttestors(
    const WorkloadAttestorSettings& settings, Clock* clock) {
  std::vector<std::unique_ptr<WorkloadAttestor>> attestors;
  for (const Row& row : kAttestors) {
    attestors.push_back(row.make(settings, clock));
    CHECK(attestors.back()->name() == row.name);
  }
  return attestors;
}

}  // namespace writ
