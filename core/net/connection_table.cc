// SPDX-License-Identifier: Apache-2.0
#include "core/net/connection_table.h"

#include <charconv>
#include <string_view>
#include <utility>

namespace writ {

void ConnectionTable::Put(int fd, std::shared_ptr<const Peer> peer) {
  WriterLock lock(mu_);
  peers_[fd] = std::move(peer);
}

void ConnectionTable::Remove(int fd, uint64_t connection_id) {
  WriterLock lock(mu_);
  auto found = peers_.find(fd);
  if (found != peers_.end() && found->second->connection_id == connection_id) peers_.erase(found);
}

std::shared_ptr<const Peer> ConnectionTable::Find(const std::string& grpc_peer) const {
  constexpr std::string_view kPrefix = "fd:";
  if (!grpc_peer.starts_with(kPrefix)) return nullptr;
  int fd = -1;
  const char* end = grpc_peer.data() + grpc_peer.size();
  auto [stop, error] = std::from_chars(grpc_peer.data() + kPrefix.size(), end, fd);
  if (error != std::errc() || stop != end) return nullptr;
  ReaderLock lock(mu_);
  auto found = peers_.find(fd);
  return found == peers_.end() ? nullptr : found->second;
}

}  // namespace writ
