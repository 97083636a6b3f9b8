// SPDX-License-Identifier: Apache-2.0
//
// AgentIndex: all agents, by ID, with their selectors in the pool that entries share.
//
// Threads: as its owner.
#pragma once

#include <functional>
#include <map>
#include <optional>
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
  std::vector<Agent> List(const AgentFilter& filter, std::string_view after, size_t limit) const;
  size_t Count(const AgentFilter& filter) const;

 private:
  struct Record {
    Agent agent;  // without its selectors
    SelectorPool::Set selectors;
  };
  static Agent Build(const Record& record);
  void Visit(const AgentFilter& filter, std::string_view after,
             const std::function<bool(const Record&)>& visit) const;

  SelectorPool& pool_;
  std::map<std::string, Record, std::less<>> agents_;
};

}  // namespace writ
