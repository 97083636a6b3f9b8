// SPDX-License-Identifier: Apache-2.0
#include "server/api/logger_api.h"

#include <optional>
#include <string>

namespace writ {
namespace {

namespace types = spire::api::types;

std::optional<LogLevel> LevelFrom(types::LogLevel level) {
  switch (level) {
    case types::PANIC:
    case types::FATAL:
    case types::ERROR:
      return LogLevel::kError;
    case types::WARN:
      return LogLevel::kWarn;
    case types::INFO:
      return LogLevel::kInfo;
    case types::DEBUG:
    case types::TRACE:
      return LogLevel::kDebug;
    default:
      return std::nullopt;
  }
}

types::LogLevel ToProto(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return types::DEBUG;
    case LogLevel::kInfo:
      return types::INFO;
    case LogLevel::kWarn:
      return types::WARN;
    case LogLevel::kError:
      break;
  }
  return types::ERROR;
}

}  // namespace

types::Logger LoggerApi::Now() const {
  types::Logger logger;
  logger.set_current_level(ToProto(log_->Level()));
  logger.set_launch_level(ToProto(launch_level_));
  return logger;
}

types::Logger LoggerApi::Set(Call& call, LogLevel level) {
  log_->SetLevel(level);
  types::Logger logger = Now();
  call.Record("log.set_level", OkStatus(), types::LogLevel_Name(logger.current_level()));
  return logger;
}

Result<types::Logger> LoggerApi::GetLogger(Call&, const logger_pb::GetLoggerRequest&) {
  return Now();
}

Result<types::Logger> LoggerApi::SetLogLevel(Call& call,
                                             const logger_pb::SetLogLevelRequest& request) {
  if (request.new_level() == types::UNSPECIFIED) {
    return InvalidArgument("newLevel value cannot be LogLevel_UNSPECIFIED");
  }
  std::optional<LogLevel> level = LevelFrom(request.new_level());
  if (!level) {
    return InvalidArgument("unsupported log level " + std::to_string(request.new_level()));
  }
  return Set(call, *level);
}

Result<types::Logger> LoggerApi::ResetLogLevel(Call& call, const logger_pb::ResetLogLevelRequest&) {
  return Set(call, launch_level_);
}

}  // namespace writ
