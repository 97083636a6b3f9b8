// SPDX-License-Identifier: Apache-2.0
#include "core/base/config.h"

#include <algorithm>
#include <charconv>

#include "core/base/bytes.h"

namespace writ {
namespace {

constexpr size_t kShownValueMax = 64;

std::string Shown(std::string_view value) { return "`" + Printable(value, kShownValueMax) + "`"; }

// "a", "a or b", "a, b or c".
std::string OneOf(const std::vector<std::string>& words) {
  std::string text;
  for (size_t i = 0; i < words.size(); ++i) {
    if (i > 0) text += i + 1 == words.size() ? " or " : ", ";
    text += words[i];
  }
  return text;
}

Result<int64_t> ParseInt(std::string_view text, const IntRange& range) {
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return InvalidArgument("must be a whole number, and is " + Shown(text));
  }
  if (value < range.min || value > range.max) {
    return InvalidArgument("must lie between " + std::to_string(range.min) + " and " +
                           std::to_string(range.max) + ", and is " + std::to_string(value));
  }
  return value;
}

Result<Duration> ParsePeriod(std::string_view text, const DurationRange& range) {
  Duration value = TRY(ParseDuration(text));
  if (value < range.min) {
    return InvalidArgument("must be at least " + FormatDuration(range.min) + ", and is " +
                           FormatDuration(value));
  }
  if (value > range.max) {
    return InvalidArgument("must be at most " + FormatDuration(range.max) + ", and is " +
                           FormatDuration(value));
  }
  return value;
}

Result<size_t> IndexOf(const std::vector<std::string>& choices, std::string_view text) {
  auto it = std::ranges::find(choices, text);
  if (it == choices.end()) {
    return InvalidArgument("must be " + OneOf(choices) + ", and is " + Shown(text));
  }
  return static_cast<size_t>(it - choices.begin());
}

}  // namespace

void ConfigSchema::String(std::string path, std::string* target, std::string doc,
                          SettingRule rule) {
  Setting setting{.path = std::move(path), .type = "text", .default_text = *target,
                  .doc = std::move(doc), .required = rule.required,
                  .shorthand = std::move(rule.shorthand)};
  setting.set = [target, check = std::move(rule.check),
                 required = rule.required](std::span<const std::string> values) -> Status {
    if (required && values.front().empty()) return InvalidArgument("must not be empty");
    if (check) TRY(check(values.front()));
    *target = values.front();
    return OkStatus();
  };
  Add(std::move(setting));
}

void ConfigSchema::SecretText(std::string path, Secret* target, std::string doc,
                              SettingRule rule) {
  Setting setting{.path = std::move(path), .type = "secret text", .doc = std::move(doc),
                  .required = rule.required, .shorthand = std::move(rule.shorthand)};
  setting.set = [target,
                 check = std::move(rule.check)](std::span<const std::string> values) -> Status {
    if (check) TRY(check(values.front()));
    *target = Secret(std::string(values.front()));
    return OkStatus();
  };
  Add(std::move(setting));
}

void ConfigSchema::Bool(std::string path, bool* target, std::string doc) {
  Setting setting{.path = std::move(path), .type = "true or false",
                  .default_text = *target ? "true" : "false", .doc = std::move(doc),
                  .is_bool = true};
  setting.set = [target](std::span<const std::string> values) -> Status {
    *target = TRY(IndexOf({"false", "true"}, values.front())) == 1;
    return OkStatus();
  };
  Add(std::move(setting));
}

void ConfigSchema::Int(std::string path, int64_t* target, std::string doc, IntRange range) {
  Setting setting{.path = std::move(path), .type = "whole number",
                  .default_text = std::to_string(*target), .doc = std::move(doc)};
  setting.set = [target, range](std::span<const std::string> values) -> Status {
    *target = TRY(ParseInt(values.front(), range));
    return OkStatus();
  };
  Add(std::move(setting));
}

void ConfigSchema::Period(std::string path, Duration* target, std::string doc,
                          DurationRange range) {
  // Zero stands for "not set" wherever it is below the least that is allowed.
  Setting setting{.path = std::move(path), .type = "duration",
                  .default_text = *target < range.min ? "" : FormatDuration(*target),
                  .doc = std::move(doc)};
  setting.set = [target, range](std::span<const std::string> values) -> Status {
    *target = TRY(ParsePeriod(values.front(), range));
    return OkStatus();
  };
  Add(std::move(setting));
}

void ConfigSchema::List(std::string path, std::vector<std::string>* target, std::string doc,
                        SettingRule rule) {
  Setting setting{.path = std::move(path), .shape = Shape::kList, .type = "list of text",
                  .doc = std::move(doc), .required = rule.required};
  for (const std::string& item : *target) {
    setting.default_text += (setting.default_text.empty() ? "" : ",") + item;
  }
  setting.set = [target,
                 check = std::move(rule.check)](std::span<const std::string> values) -> Status {
    for (const std::string& value : values) {
      if (check) TRY(check(value));
    }
    target->assign(values.begin(), values.end());
    return OkStatus();
  };
  Add(std::move(setting));
}

void ConfigSchema::OnlyKind(std::string path, std::string kind, std::string doc) {
  AddChoice(std::move(path), Shape::kKind, {kind}, kind, std::move(doc), [](size_t) {});
}

void ConfigSchema::Kinds(std::string path, std::vector<std::string>* target,
                         std::vector<std::string> choices, std::string doc) {
  List(std::move(path), target, std::move(doc));
  Setting& setting = settings_.back();
  setting.shape = Shape::kKinds;
  setting.type = "any of " + OneOf(choices);
  setting.choices = choices;
  setting.set = [target,
                 choices = std::move(choices)](std::span<const std::string> values) -> Status {
    for (const std::string& value : values) TRY(IndexOf(choices, value));
    target->assign(values.begin(), values.end());
    return OkStatus();
  };
}

void ConfigSchema::AddChoice(std::string path, Shape shape, std::vector<std::string> choices,
                             std::string default_text, std::string doc,
                             std::function<void(size_t)> choose) {
  Setting setting{.path = std::move(path), .shape = shape, .type = OneOf(choices),
                  .default_text = std::move(default_text), .doc = std::move(doc),
                  .choices = choices};
  setting.set = [choices = std::move(choices),
                 choose = std::move(choose)](std::span<const std::string> values) -> Status {
    choose(TRY(IndexOf(choices, values.front())));
    return OkStatus();
  };
  Add(std::move(setting));
}

void ConfigSchema::Add(Setting setting) {
  CHECK(!setting.doc.empty() && setting.set != nullptr);
  for (const Setting& other : settings_) {
    CHECK(EnvironmentName(other.path) != EnvironmentName(setting.path));
  }
  settings_.push_back(std::move(setting));
}

std::string ConfigSchema::EnvironmentName(std::string_view path) {
  std::string name = "WRIT_";
  for (char c : path) {
    name += c == '.' ? '_' : (c >= 'a' && c <= 'z') ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return name;
}

std::string ConfigSchema::FlagName(std::string_view path) {
  std::string name = "--";
  for (char c : path) name += c == '.' || c == '_' ? '-' : c;
  return name;
}

const ConfigSchema::Setting* ConfigSchema::Find(std::string_view path) const {
  auto it = std::ranges::find(settings_, path, &Setting::path);
  return it == settings_.end() ? nullptr : &*it;
}

ConfigSchema::Setting* ConfigSchema::Find(std::string_view path) {
  return const_cast<Setting*>(std::as_const(*this).Find(path));
}

std::string ConfigSchema::Where(std::string_view path) const {
  const Setting* setting = Find(path);
  CHECK(setting != nullptr);
  return setting->where.empty() ? "default" : setting->where;
}

Status ConfigSchema::Complain(std::string_view path, const std::string& complaint) const {
  std::string where = IsDefault(path) ? program_ : Where(path);
  return InvalidArgument(where + ": `" + std::string(path) + "` " + complaint);
}

void DeclareLogSettings(ConfigSchema& schema, LogSettings* target) {
  schema.Enum<LogLevel>("log.level", &target->level,
                        {{"debug", LogLevel::kDebug},
                         {"info", LogLevel::kInfo},
                         {"warn", LogLevel::kWarn},
                         {"error", LogLevel::kError}},
                        "The least important lines that are written to standard error.");
  schema.Enum<LogFormat>("log.format", &target->format,
                         {{"text", LogFormat::kText}, {"json", LogFormat::kJson}},
                         "Lines for people, or a JSON object per line for machines.");
}

}  // namespace writ
