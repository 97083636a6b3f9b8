// SPDX-License-Identifier: Apache-2.0
//
// LoggerApi: SPIRE's Logger service: the level of the server's log, changed while it runs.
//
// SPIRE has levels that Writ's log lacks: panic and fatal are error here, trace is debug.
// Threads: thread-safe.
#pragma once

#include "core/base/log.h"
#include "server/api/call.h"
#include "spire/api/server/logger/v1/logger.pb.h"

namespace writ {

namespace logger_pb = spire::api::server::logger::v1;

class LoggerApi {
 public:
  // The level of now is the one that a reset goes back to.
  explicit LoggerApi(AdjustableLog* log) : log_(log), launch_level_(log->Level()) {}

  Result<spire::api::types::Logger> GetLogger(Call& call,
                                              const logger_pb::GetLoggerRequest& request);
  Result<spire::api::types::Logger> SetLogLevel(Call& call,
                                                const logger_pb::SetLogLevelRequest& request);
  Result<spire::api::types::Logger> ResetLogLevel(Call& call,
                                                  const logger_pb::ResetLogLevelRequest& request);

 private:
  spire::api::types::Logger Set(Call& call, LogLevel level);
  spire::api::types::Logger Now() const;

  AdjustableLog* const log_;  // borrowed
  const LogLevel launch_level_;
};

}  // namespace writ
