// SPDX-License-Identifier: Apache-2.0
//
// ConnectionLog: what a server says of connections that it refused or that ended. A refused client
// is worth a warning, which a flood of them must not repeat; the rest is everyday.
//
// Threads: thread-safe.
#pragma once

#include <string>
#include <utility>

#include "core/base/log.h"
#include "core/base/status.h"
#include "core/net/log_limit.h"

namespace writ {

class ConnectionLog {
 public:
  ConnectionLog(std::string listener, Clock* clock, Log* log)
      : listener_(std::move(listener)),
        log_(log),
        shares_(clock),
        floods_(clock),
        refusals_(clock),
        failures_(clock) {}

  void ShareUsedUp(const std::string& client) {
    if (!shares_.Due()) return;
    log_->Warn("Connection refused: its client has its share of the connections already",
               {{"listener", listener_}, {"client", client}});
  }
  // The connection could not be taken.
  void Failed(const std::string& sentence, const Status& why) {
    if (!failures_.Due()) return;
    log_->Warn(sentence, {{"listener", listener_}, {"error", why}});
  }
  // `was_open`: gRPC had it.
  void Ended(const std::string& client, const Status& why, bool was_open) {
    if (why.ok()) return;
    const Log::Fields fields = {{"listener", listener_}, {"client", client}, {"reason", why}};
    if (why.code() == Code::kUnauthenticated && refusals_.Due()) {
      log_->Warn("TLS peer refused", fields);
    } else if (why.code() == Code::kPermissionDenied && refusals_.Due()) {
      log_->Warn("Connection refused", fields);
    } else if (why.code() == Code::kResourceExhausted && floods_.Due()) {
      log_->Warn("Connection closed: too much is asked of this server", fields);
    } else {
      log_->Debug(was_open ? "Connection ended" : "Connection ended before it was open", fields);
    }
  }

 private:
  const std::string listener_;
  Log* const log_;
  LogLimit shares_;
  LogLimit floods_;
  LogLimit refusals_;
  LogLimit failures_;
};

}  // namespace writ
