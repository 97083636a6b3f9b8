// SPDX-License-Identifier: Apache-2.0
#include "agent/client/server_faults.h"

#include <utility>

#include "core/base/bytes.h"

namespace writ {

void ServerFaults::Tell(const MalformedEntries& malformed) {
  if (malformed.count() == 0 || !entries_.Due()) return;
  log_->Warn("The server sent malformed entries; they are left out",
             {{"entries", malformed.count()},
              {"first_entry_id", Printable(malformed.first_id())},
              {"error", malformed.why()}});
}

void ServerFaults::TellAuthorities(std::vector<std::string> left_out) {
  MutexLock lock(mu_);
  if (left_out == left_out_) return;
  for (const std::string& why : left_out) {
    log_->Warn("The server's bundle has an authority that cannot be used; it is left out",
               {{"reason", why}});
  }
  left_out_ = std::move(left_out);
}

}  // namespace writ
