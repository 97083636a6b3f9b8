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
#include <optional>
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
  // What stands in the way, and what an operator can do about it: half a sentence each.
  struct Obstacle {
    std::string what;
    std::string remedy;
  };
  // What lies above an entry.
  struct Ancestry {
    std::set<std::string> agents;  // IDs of those that are attested
    std::vector<Obstacle> gaps;
  };

  Ancestry Climb(const Entry& entry, Time now) const;
  void AddAliasAgents(const Entry& alias, Ancestry& above) const;
  std::vector<Obstacle> AddEntry(const Entry& entry, Time now, v1::IdentityEntry& out) const;
  std::vector<Obstacle> AddAgents(const Ancestry& above, Time now, v1::IdentityEntry& out) const;
  static void AddAgent(const Agent& agent, Time now, v1::AgentStanding& out);
  static std::optional<Obstacle> ObstacleOf(const v1::AgentStanding& agent);
  static Obstacle GapAt(const SpiffeId& parent, const Entry& child);
  static Obstacle Expired(const Entry& entry, const std::string& what);
  static std::vector<std::string> AdviceForEntry(const v1::ExplainIdentityResponse& answer,
                                                 const v1::IdentityEntry& entry,
                                                 const std::vector<Obstacle>& obstacles);
  static std::vector<std::string> AdviceForAgent(const v1::AgentStanding& agent);

  const TrustDomain td_;
  const Registry* const registry_;  // borrowed
  Clock* const clock_;              // borrowed
};

}  // namespace writ
