// SPDX-License-Identifier: Apache-2.0
//
// Agents and join tokens in SQLite.
//
// Threads: thread-safe.
#pragma once

#include "server/store/sqlite_database.h"
#include "server/store/store.h"

namespace writ {

class SqliteAgents final : public AgentStore {
 public:
  explicit SqliteAgents(SqliteDatabase& db) : db_(db) {}
  Result<Agent> Get(std::string_view id) override;
  Status ForEach(uint64_t* sequence, const std::function<void(Agent)>& visit) override;
  Status CommitAttestation(const Agent& agent, std::string_view join_token, Time now) override;
  Result<Agent> Edit(std::string_view id, const std::function<Status(Agent&)>& edit) override;
  Status Delete(std::string_view id) override;
  Status CreateToken(const JoinToken& token, const std::optional<Entry>& alias) override;
  Result<JoinToken> GetToken(std::string_view token) override;
  Result<Pruned> Prune(const PruneRule& rule) override;

 private:
  SqliteDatabase& db_;
};

}  // namespace writ
