// SPDX-License-Identifier: Apache-2.0
//
// AgentIndex: all agents, by ID, with their selectors in the pool that entries share.
//
// Threads: as its owner.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "server/entry/registry.h"
#include "server/entry/selector_pool.h"

namespace writ {

class AgentIndex {
 public:
  explicit AgentIndex(SelectorPool& pool) : pool_(pool) {}
  ~AgentIndex();
  AgentIndex(const AgentIndex&) = delete;
  AgentIndex& operator=(const AgentIndex&) = delete;

  void Put(Agent agent);
  void Remove(std::string_view id);
  size_t size() const { return agents_.size(); }

  std::optional<Agent> Get(std::string_view id) const;
  // Empty when the agent is not known.
  const SelectorPool::Set& SelectorsOf(std::string_view id) const;
  // Matching agents in the order in which they first came, behind the ordinal `after`, at most
  // `limit`.
  std::vector<Agent> List(const AgentFilter& filter, int64_t after, size_t limit) const;
  size_t Count(const AgentFilter& filter) const;

 private:
  struct Record {
    Agent agent;  // without its selectors
    SelectorPool::Set selectors;
  };
  using Agents = std::map<std::string, Record, std::less<>>;
  struct Older {
    using is_transparent = void;
    bool operator()(const Record* a, const Record* b) const {
      if (a->agent.ordinal != b->agent.ordinal) return a->agent.ordinal < b->agent.ordinal;
      return a->agent.id < b->agent.id;  // of a store that was written by hand
    }
    bool operator()(int64_t ordinal, const Record* record) const {
      return ordinal < record->agent.ordinal;
    }
    bool operator()(const Record* record, int64_t ordinal) const {
      return record->agent.ordinal < ordinal;
    }
  };
  static Agent Build(const Record& record);
  void Visit(const AgentFilter& filter, int64_t after,
             const std::function<bool(const Record&)>& visit) const;

  SelectorPool& pool_;
  Agents agents_;
  std::set<const Record*, Older> by_age_;
};

}  // namespace writ
