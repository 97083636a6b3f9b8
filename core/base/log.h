// SPDX-License-Identifier: Apache-2.0
//
// Log: one line per event, a sentence and fields. Text for people or JSON lines for machines.
// Values from others are escaped; a Secret cannot be a field.
//
// Threads: thread-safe. A line is written whole.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "core/base/status.h"

namespace writ {

enum class LogLevel { kDebug, kInfo, kWarn, kError };
enum class LogFormat { kText, kJson };

// A field's value, already text. Implicit from what is logged often.
struct LogField {
  LogField(std::string_view key, std::string_view value) : key(key), value(value) {}
  LogField(std::string_view key, const char* value) : key(key), value(value) {}
  LogField(std::string_view key, const std::string& value) : key(key), value(value) {}
  LogField(std::string_view key, const Status& status) : key(key), value(status.ToString()) {}
  template <typename Integer>
    requires std::is_integral_v<Integer>
  LogField(std::string_view key, Integer value) : key(key), value(std::to_string(value)) {}

  std::string key;
  std::string value;
};

class Log {
 public:
  using Fields = std::vector<LogField>;

  virtual ~Log() = default;
  virtual void Write(LogLevel level, std::string_view sentence, const Fields& fields) = 0;
  virtual bool Enabled(LogLevel level) const = 0;

  void Debug(std::string_view s, const Fields& f = {}) { WriteIf(LogLevel::kDebug, s, f); }
  void Info(std::string_view s, const Fields& f = {}) { WriteIf(LogLevel::kInfo, s, f); }
  void Warn(std::string_view s, const Fields& f = {}) { WriteIf(LogLevel::kWarn, s, f); }
  void Error(std::string_view s, const Fields& f = {}) { WriteIf(LogLevel::kError, s, f); }

 private:
  void WriteIf(LogLevel level, std::string_view sentence, const Fields& fields) {
    if (Enabled(level)) Write(level, sentence, fields);
  }
};

// One whose level can be set while running.
class AdjustableLog : public Log {
 public:
  virtual void SetLevel(LogLevel level) = 0;
  virtual LogLevel Level() const = 0;
};
// Lines to standard error.
std::unique_ptr<AdjustableLog> MakeStderrLog(LogLevel level, LogFormat format);

Result<LogLevel> ParseLogLevel(std::string_view text);    // "debug", "info", "warn", "error"
Result<LogFormat> ParseLogFormat(std::string_view text);  // "text", "json"

}  // namespace writ
