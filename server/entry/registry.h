// SPDX-License-Identifier: Apache-2.0
//
// Registry: all entries and agents in memory, compactly (interned IDs and selectors), and the
// incremental index of who is authorized for what. Loaded once, then kept current by the store's
// change feed: the cost of a change never depends on how much there is. Agents that follow are told
// what changes for them (agent_feed.h).
//
// The rules (SPIRE's): an agent is authorized for every entry whose parent is its ID, and
// recursively for those whose parent is the SPIFFE ID of such an entry; an entry whose parent is
// the server's ID is a node alias: when all its selectors are among the agent's, its SPIFFE ID is
// one more start.
//
// Threads: thread-safe, many readers; the feed's listener is the only writer.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/spiffe/entry.h"
#include "server/entry/agent_feed.h"
#include "server/store/store.h"

namespace writ {

enum class SelectorMatch { kExact = 0, kSubset = 1, kSuperset = 2, kAny = 3 };  // SPIRE's numbers

struct EntryFilter {
  std::optional<SpiffeId> spiffe_id;
  std::optional<SpiffeId> parent_id;
  std::optional<std::pair<Selectors, SelectorMatch>> selectors;
  std::optional<std::pair<std::vector<std::string>, SelectorMatch>> federates_with;
  std::optional<std::string> hint;
  std::optional<bool> downstream;
};

struct AgentFilter {
  std::optional<std::string> attestation_type;
  std::optional<std::pair<Selectors, SelectorMatch>> selectors;
  std::optional<bool> banned;
  std::optional<bool> may_reattest;
  std::optional<int64_t> expires_before;  // Unix seconds
};

// What a sync needs to know of an entry without building it.
struct EntryStamp {
  std::string id;
  int64_t revision;
  int64_t created_at;
};

// Before every ordinal, which an entry and an agent have for as long as they are there.
inline constexpr int64_t kFromTheFirst = std::numeric_limits<int64_t>::min();

class Registry : public AgentFeeds {
 public:
  static Result<std::unique_ptr<Registry>> Load(Store& store, const TrustDomain& td);

  virtual std::optional<Entry> GetEntry(std::string_view id) const = 0;
  // In the order of creation, behind the ordinal `after` (kFromTheFirst), at most `limit`.
  virtual std::vector<Entry> ListEntries(const EntryFilter& filter, int64_t after,
                                         size_t limit) const = 0;
  virtual size_t CountEntries(const EntryFilter& filter) const = 0;

  // In ID order; the IDs that `agent` is authorized for, as stamps. Expired ones are left out and
  // pass nothing on.
  virtual std::vector<EntryStamp> Authorized(const SpiffeId& agent, Time now) const = 0;
  // The entry, if the agent is authorized for it and it has not expired; costs what its ancestry
  // costs, not the whole set.
  virtual std::optional<Entry> AuthorizedEntry(const SpiffeId& agent, std::string_view entry_id,
                                               Time now) const = 0;
  // Gives `visit` those of the entries `ids` that AuthorizedEntry() would give, in their order,
  // until it returns false; it must not call the registry. How many of the IDs are done: all, or
  // those before the one that was refused. Costs least when the IDs are in order.
  virtual size_t VisitAuthorized(const SpiffeId& agent, std::span<const std::string> ids, Time now,
                                 const std::function<bool(const Entry&)>& visit) const = 0;
  // In the order of creation; every entry that gives out this SPIFFE ID, expired ones too (for the
  // authorization of callers by their admin and downstream flags).
  virtual std::vector<Entry> EntriesOfId(const SpiffeId& id) const = 0;

  virtual std::optional<Agent> GetAgent(std::string_view id) const = 0;
  virtual std::vector<Agent> ListAgents(const AgentFilter& filter, int64_t after,
                                        size_t limit) const = 0;
  virtual size_t CountAgents(const AgentFilter& filter) const = 0;
};

}  // namespace writ
