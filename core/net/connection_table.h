// SPDX-License-Identifier: Apache-2.0
//
// ConnectionTable: who is at the other end of each descriptor that gRPC owns. gRPC closes a
// descriptor after its last stream has gone, so the number cannot mean another peer while a handler
// of the first one lives.
//
// Threads: thread-safe.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "core/base/mutex.h"
#include "core/net/grpc_server.h"

namespace writ {

class ConnectionTable {
 public:
  // Before the descriptor is handed to gRPC. Replaces an earlier connection of that number.
  void Put(int fd, std::shared_ptr<const Peer> peer) EXCLUDES(mu_);
  // Nothing happens when the number belongs to another connection by now.
  void Remove(int fd, uint64_t connection_id) EXCLUDES(mu_);
  // By gRPC's name of a connection, "fd:N". Null when there is none.
  std::shared_ptr<const Peer> Find(const std::string& grpc_peer) const EXCLUDES(mu_);

 private:
  mutable SharedMutex mu_;
  std::unordered_map<int, std::shared_ptr<const Peer>> peers_ GUARDED_BY(mu_);
};

}  // namespace writ
