// SPDX-License-Identifier: Apache-2.0
#include "core/base/log.h"

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <algorithm>
#include <array>
#include <utility>

#include "core/base/bytes.h"
#include "core/base/json.h"

namespace writ {
namespace {

constexpr size_t kLogValueBytesMax = 2048;

struct LevelRow {
  LogLevel level;
  std::string_view name;
  spdlog::level::level_enum spdlog_level;
};
constexpr std::array<LevelRow, 4> kLevels = {{
    {LogLevel::kDebug, "debug", spdlog::level::debug},
    {LogLevel::kInfo, "info", spdlog::level::info},
    {LogLevel::kWarn, "warn", spdlog::level::warn},
    {LogLevel::kError, "error", spdlog::level::err},
}};

const LevelRow& RowOf(LogLevel level) { return kLevels[static_cast<size_t>(level)]; }

bool IsPlain(std::string_view value) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:/@+-,%";
  return !value.empty() && value.find_first_not_of(kPlain) == std::string_view::npos;
}

// A sentence is ours, but may quote others: control bytes must not forge a line.
std::string OneLine(std::string_view sentence) {
  std::string line;
  for (char c : sentence.substr(0, kLogValueBytesMax)) {
    bool control = static_cast<uint8_t>(c) < 0x20 || c == 0x7f;
    line += control ? "\\x" + HexEncode(std::string_view(&c, 1)) : std::string(1, c);
  }
  return line;
}

// A quote inside is escaped, so that no value ends before its end. Printable did the backslashes.
std::string Quoted(std::string_view printable) {
  std::string text = "\"";
  for (char c : printable) {
    if (c == '"') text += '\\';
    text += c;
  }
  return text + "\"";
}

// "info  agent attested  id=spiffe://example.org/x error="no such key""
std::string TextLine(LogLevel level, std::string_view sentence, const Log::Fields& fields) {
  std::string line(RowOf(level).name);
  line.resize(6, ' ');
  line += OneLine(sentence);
  for (const LogField& field : fields) {
    line += " " + field.key + "=";
    std::string value = Printable(field.value, kLogValueBytesMax);
    line += IsPlain(value) ? value : Quoted(value);
  }
  return line;
}

// The members behind "time", with the closing brace.
std::string JsonLine(LogLevel level, std::string_view sentence, const Log::Fields& fields) {
  Json json = Json::MakeObject();
  json.Set("level", RowOf(level).name).Set("message", sentence.substr(0, kLogValueBytesMax));
  for (const LogField& field : fields) {
    json.Set(field.key, std::string_view(field.value).substr(0, kLogValueBytesMax));
  }
  return json.Dump().substr(1);
}

class SpdlogStderr final : public AdjustableLog {
 public:
  SpdlogStderr(LogLevel level, LogFormat format)
      : format_(format), logger_("", std::make_shared<spdlog::sinks::stderr_sink_mt>()) {
    const char* pattern = format == LogFormat::kText ? "%Y-%m-%dT%H:%M:%S.%eZ %v"
                                                     : "{\"time\":\"%Y-%m-%dT%H:%M:%S.%eZ\",%v";
    logger_.set_formatter(
        std::make_unique<spdlog::pattern_formatter>(pattern, spdlog::pattern_time_type::utc));
    SetLevel(level);
  }

  void Write(LogLevel level, std::string_view sentence, const Fields& fields) override {
    std::string line = format_ == LogFormat::kText ? TextLine(level, sentence, fields)
                                                   : JsonLine(level, sentence, fields);
    logger_.log(RowOf(level).spdlog_level, spdlog::string_view_t(line));
  }
  bool Enabled(LogLevel level) const override {
    return logger_.should_log(RowOf(level).spdlog_level);
  }

  void SetLevel(LogLevel level) override { logger_.set_level(RowOf(level).spdlog_level); }
  LogLevel Level() const override {
    return std::ranges::find(kLevels, logger_.level(), &LevelRow::spdlog_level)->level;
  }

 private:
  const LogFormat format_;
  spdlog::logger logger_;  // own lock
};

}  // namespace

std::unique_ptr<AdjustableLog> MakeStderrLog(LogLevel level, LogFormat format) {
  return std::make_unique<SpdlogStderr>(level, format);
}

Result<LogLevel> ParseLogLevel(std::string_view text) {
  auto row = std::ranges::find(kLevels, text, &LevelRow::name);
  if (row == kLevels.end()) {
    return InvalidArgument("log level must be debug, info, warn or error, and is `" +
                           Printable(text, 32) + "`");
  }
  return row->level;
}

Result<LogFormat> ParseLogFormat(std::string_view text) {
  if (text == "text") return LogFormat::kText;
  if (text == "json") return LogFormat::kJson;
  return InvalidArgument("log format must be text or json, and is `" + Printable(text, 32) + "`");
}

}  // namespace writ
