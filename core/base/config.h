// SPDX-License-Identifier: Apache-2.0
//
// ConfigSchema: one table of a program's settings, from which come the strict reader of its YAML
// file, its environment variables and flags, its --help and its reference page.
//
// A setting's path gives all its names: `listen.admin_socket` is WRIT_LISTEN_ADMIN_SOCKET and
// --listen-admin-socket. The file is read first, then the environment, then the flags; the later
// wins. Whatever is not in the table is refused, with its place and the nearest known name.
//
// A setting writes to a member of the program's configuration; what stands there when the setting
// is declared is its default.
//
// Trust: file, environment and flags come from the operator; mistakes are answered, not guessed
// away. Secrets are never quoted. Threads: one. Lifetime: targets outlive the schema.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/environment.h"
#include "core/base/log.h"
#include "core/base/secret.h"
#include "core/base/status.h"

namespace writ {

struct YamlNode;

inline constexpr size_t kConfigBytesMax = 256 << 10;
inline constexpr size_t kConfigProblemsMax = 20;

struct SettingRule {
  bool required = false;
  std::string shorthand;  // one more name, like "join_token"
  std::function<Status(std::string_view)> check;  // of the text, whatever its source
};
struct IntRange {
  int64_t min = std::numeric_limits<int64_t>::min();
  int64_t max = std::numeric_limits<int64_t>::max();
};
struct DurationRange {
  Duration min = Duration::zero();
  Duration max = Duration::max();
};

class ConfigSchema {
 public:
  // `program` ("writ-server") is for the texts.
  explicit ConfigSchema(std::string program) : program_(std::move(program)) {}

  // Declarations, in the order in which help and reference show them.
  void String(std::string path, std::string* target, std::string doc, SettingRule rule = {});
  void SecretText(std::string path, Secret* target, std::string doc, SettingRule rule = {});
  void Bool(std::string path, bool* target, std::string doc);
  void Int(std::string path, int64_t* target, std::string doc, IntRange range = {});
  void Period(std::string path, Duration* target, std::string doc, DurationRange range = {});
  void List(std::string path, std::vector<std::string>* target, std::string doc,
            SettingRule rule = {});
  template <typename T>
  using Choices = std::vector<std::pair<std::string, T>>;
  template <typename T>
  void Enum(std::string path, T* target, Choices<T> choices, std::string doc);
  // A section whose single key names the kind of thing to use; what is below that key are the
  // kind's own settings, declared apart ("datastore.sqlite.path").
  template <typename T>
  void Kind(std::string path, T* target, Choices<T> choices, std::string doc);
  // The same with one kind to choose from so far.
  void OnlyKind(std::string path, std::string kind, std::string doc);
  // A section with a key for each kind in use.
  void Kinds(std::string path, std::vector<std::string>* target, std::vector<std::string> choices,
             std::string doc);
  // A value type that only a parser can make; required.
  template <typename T>
  void Parsed(std::string path, std::optional<T>* target, std::string type,
              std::function<Result<T>(std::string_view)> parse, std::string doc);
  // A list of such; empty by default.
  template <typename T>
  void ParsedList(std::string path, std::vector<T>* target, std::string type,
                  std::function<Result<T>(std::string_view)> parse, std::string doc);

  // Reads everything into the targets. `arguments` are what follows the program's command:
  // --config FILE (or WRIT_CONFIG), and settings as --name VALUE or --name=VALUE (a bool alone
  // means true). InvalidArgument lists every problem found, one on a line.
  Status Load(const std::vector<std::string>& arguments, const Environment& environment);

  // After Load. Where the value came from: "server.yaml:12:3", "WRIT_DATA_DIR", "--data-dir" or
  // "default".
  std::string Where(std::string_view path) const;
  bool IsDefault(std::string_view path) const { return Where(path) == "default"; }
  // "server.yaml:12:3: `data_dir` <complaint>", for relations between settings.
  Status Complain(std::string_view path, const std::string& complaint) const;

  // The flags with their environment variables, for --help.
  std::string FlagHelp() const;
  // The reference in Markdown: a table of all settings.
  std::string Reference() const;

 private:
  enum class Shape { kScalar, kList, kKind, kKinds };
  struct Setting {
    std::string path;
    Shape shape = Shape::kScalar;
    std::string type;          // for people: "duration", "disk or memory"
    std::string default_text;  // empty: none
    std::string doc;
    bool required = false;
    bool is_bool = false;
    std::string shorthand;
    std::vector<std::string> choices;  // of kinds
    std::function<Status(std::span<const std::string>)> set;
    std::string where;  // set by Load
  };

  static std::string EnvironmentName(std::string_view path);
  static std::string FlagName(std::string_view path);
  void Add(Setting setting);
  void AddChoice(std::string path, Shape shape, std::vector<std::string> choices,
                 std::string default_text, std::string doc, std::function<void(size_t)> choose);
  Setting* Find(std::string_view path);
  const Setting* Find(std::string_view path) const;
  // By environment or flag name; shorthands too.
  Setting* FindNamed(std::string_view name, std::string (*name_of)(std::string_view));
  bool IsSection(std::string_view path) const;
  std::vector<std::string> KeysBelow(std::string_view path) const;

  void Problem(std::string where, std::string_view what);
  void Assign(Setting& setting, std::span<const std::string> values, std::string where);
  void AssignText(Setting& setting, const std::string& text, std::string where);
  bool ReadConfigFile();  // false: nothing of it could be read
  void ReadSection(const YamlNode& node, const std::string& path);
  void ReadSetting(Setting& setting, const YamlNode& node);
  void ReadKinds(Setting& setting, const YamlNode& node);
  void UnknownKey(const YamlNode& key, const std::string& section);
  void ReadEnvironment(const Environment& environment);
  void ReadFlags(const std::vector<std::string>& arguments);
  std::string Place(const YamlNode& node) const;

  const std::string program_;
  std::vector<Setting> settings_;
  std::string file_;                   // set by Load
  std::vector<std::string> problems_;  // found by Load
};

// `log.level` and `log.format`, the same in every daemon.
struct LogSettings {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kText;
};
void DeclareLogSettings(ConfigSchema& schema, LogSettings* target);

// A program's settings: the three things that come of their one declaration. `Config` brings the
// defaults.
template <typename Config>
struct ProgramSettings {
  const char* program;  // "writ-server"
  void (*declare)(ConfigSchema& schema, Config* config);
  // After all is read: what follows from other settings, and how they must fit each other.
  Status (*finish)(const ConfigSchema& schema, Config* config);

  // As ConfigSchema::Load().
  Result<Config> Load(const std::vector<std::string>& arguments,
                      const Environment& environment) const {
    Config config;
    ConfigSchema schema(program);
    declare(schema, &config);
    TRY(schema.Load(arguments, environment));
    TRY(finish(schema, &config));
    return config;
  }
  std::string FlagHelp() const { return Text(&ConfigSchema::FlagHelp); }
  std::string Reference() const { return Text(&ConfigSchema::Reference); }

  std::string Text(std::string (ConfigSchema::*of)() const) const {
    Config config;
    ConfigSchema schema(program);
    declare(schema, &config);
    return (schema.*of)();
  }
};

template <typename T>
void ConfigSchema::Enum(std::string path, T* target, Choices<T> choices, std::string doc) {
  std::vector<std::string> names;
  std::string default_text;
  for (const auto& [name, value] : choices) {
    names.push_back(name);
    if (value == *target) default_text = name;
  }
  AddChoice(std::move(path), Shape::kScalar, std::move(names), std::move(default_text),
            std::move(doc), [target, choices = std::move(choices)](size_t index) {
              *target = choices[index].second;
            });
}

template <typename T>
void ConfigSchema::Kind(std::string path, T* target, Choices<T> choices, std::string doc) {
  Enum(path, target, std::move(choices), std::move(doc));
  settings_.back().shape = Shape::kKind;
}

template <typename T>
void ConfigSchema::Parsed(std::string path, std::optional<T>* target, std::string type,
                          std::function<Result<T>(std::string_view)> parse, std::string doc) {
  Setting setting{.path = std::move(path), .type = std::move(type), .doc = std::move(doc),
                  .required = true};
  setting.set = [target, parse = std::move(parse)](std::span<const std::string> values) -> Status {
    *target = TRY(parse(values.front()));
    return OkStatus();
  };
  Add(std::move(setting));
}

template <typename T>
void ConfigSchema::ParsedList(std::string path, std::vector<T>* target, std::string type,
                              std::function<Result<T>(std::string_view)> parse, std::string doc) {
  Setting setting{.path = std::move(path), .shape = Shape::kList, .type = "list of " + type,
                  .doc = std::move(doc)};
  setting.set = [target, parse = std::move(parse)](std::span<const std::string> values) -> Status {
    std::vector<T> parsed;
    for (const std::string& value : values) parsed.push_back(TRY(parse(value)));
    *target = std::move(parsed);
    return OkStatus();
  };
  Add(std::move(setting));
}

}  // namespace writ
