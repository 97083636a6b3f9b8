// SPDX-License-Identifier: Apache-2.0
//
// WhyApi: who gets a SPIFFE ID, and what keeps others from it: the entries that give it out, the
// agents that their parents lead to, and what stands in the way. For operators, on the admin
// socket.
//
// Trust: requests are checked; work is bounded, whatever the entries look like.
// Threads: thread-safe.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "server/api/call.h"
#include "server/entry/registry.h"
#include "writ/v1/why.pb.h"

namespace writ {

inline constexpr size_t kWhyEntriesMax = 50;
inline constexpr size_t kWhyAgentsMax = 20;    // of an entry
inline constexpr size_t kWhyParentsMax = 500;  // SPIFFE IDs looked at above an entry

class WhyApi {
 public:
  WhyApi(TrustDomain td, const Registry* registry, Clock* clock)
      : td_(std::move(td)), registry_(registry), clock_(clock) {}

  Result<v1::ExplainIdentityResponse> ExplainIdentity(Call& call,
                                                      const v1::ExplainIdentityRequest& request);

 private:
  // What lies above an entry.
  struct Ancestry {
    std::set<std::string> agents;   // IDs of those that are attested
    std::vector<std::string> gaps;  // one sentence each
  };

  Ancestry Climb(const Entry& entry, Time now) const;
  void AddAliasAgents(const Entry& alias, Ancestry& above) const;
  void AddEntry(const Entry& entry, Time now, v1::IdentityEntry& out) const;
  std::vector<std::string> AddAgents(const Ancestry& above, Time now, v1::IdentityEntry& out) const;
  static void AddAgent(const Agent& agent, Time now, v1::AgentStanding& out);
  static std::vector<std::string> AdviceFor(const SpiffeId& id,
                                            const v1::ExplainIdentityResponse& response);

  const TrustDomain td_;
  const Registry* const registry_;  // borrowed
  Clock* const clock_;              // borrowed
};

}  // namespace writ
