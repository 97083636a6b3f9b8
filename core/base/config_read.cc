// SPDX-License-Identifier: Apache-2.0
//
// The reading half of ConfigSchema: file, environment, flags, and what is said about mistakes.
#include <algorithm>

#include "core/base/bytes.h"
#include "core/base/config.h"
#include "core/base/config_yaml.h"
#include "core/base/file.h"
#include "core/base/nearest.h"

namespace writ {
namespace {

constexpr std::string_view kConfigFlag = "--config";
constexpr std::string_view kConfigVariable = "WRIT_CONFIG";
constexpr std::string_view kVariablePrefix = "WRIT_";
// Other programs set WRIT_ variables too (Kubernetes for a service named so): only what looks like
// a slip of the finger is refused.
constexpr size_t kVariableSlipMax = 2;

std::string Join(std::string_view path, std::string_view key) {
  return path.empty() ? std::string(key) : std::string(path) + "." + std::string(key);
}

std::string_view LastKey(std::string_view path) {
  return path.substr(path.rfind('.') + 1);  // npos + 1 is 0
}

std::string Quoted(std::string_view word) { return "`" + Printable(word, 64) + "`"; }

// Items of "a,b , c" without the spaces around; nothing in an empty text.
std::vector<std::string> SplitList(std::string_view text) {
  std::vector<std::string> items;
  while (!text.empty()) {
    std::string_view item = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), item.size() + 1));
    size_t first = std::min(item.find_first_not_of(' '), item.size());
    size_t last = item.find_last_not_of(' ');
    items.emplace_back(item.substr(first, last == item.npos ? 0 : last + 1 - first));
  }
  return items;
}

}  // namespace

Status ConfigSchema::Load(const std::vector<std::string>& arguments,
                          const Environment& environment) {
  // The file is named by a flag or variable, and read before both.
  if (auto it = environment.find(std::string(kConfigVariable)); it != environment.end()) {
    file_ = it->second;
  }
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument == kConfigFlag && i + 1 < arguments.size()) file_ = arguments[i + 1];
    if (argument.starts_with(std::string(kConfigFlag) + "=")) {
      file_ = argument.substr(kConfigFlag.size() + 1);
    }
  }
  const bool file_read = file_.empty() || ReadConfigFile();
  ReadEnvironment(environment);
  ReadFlags(arguments);

  for (const Setting& setting : settings_) {
    if (!file_read || !setting.required || !setting.where.empty()) continue;
    Problem(file_.empty() ? program_ : file_,
            Quoted(setting.path) + " is required; set it in the file, as " +
                EnvironmentName(setting.path) + " or with " + FlagName(setting.path));
  }
  if (problems_.empty()) return OkStatus();
  std::string all;
  for (const std::string& problem : problems_) all += (all.empty() ? "" : "\n") + problem;
  return InvalidArgument(all);
}

void ConfigSchema::Problem(std::string where, std::string_view what) {
  if (problems_.size() == kConfigProblemsMax) return;
  where += ": ";
  problems_.push_back(where + std::string(what));
}

void ConfigSchema::Assign(Setting& setting, std::span<const std::string> values,
                          std::string where) {
  setting.where = where;
  if (Status status = setting.set(values); !status.ok()) {
    Problem(std::move(where), Quoted(setting.path) + ": " + status.message());
  }
}

void ConfigSchema::AssignText(Setting& setting, const std::string& text, std::string where) {
  if (setting.shape == Shape::kList || setting.shape == Shape::kKinds) {
    Assign(setting, SplitList(text), std::move(where));
  } else {
    Assign(setting, std::span(&text, 1), std::move(where));
  }
}

bool ConfigSchema::ReadConfigFile() {
  Result<std::string> text = ReadFile(file_, kConfigBytesMax);
  if (!text.ok()) {
    Problem(program_, text.status().message());
    return false;
  }
  Result<YamlNode> root = ParseYaml(*text, file_);
  if (!root.ok()) {
    problems_.push_back(root.status().message());  // says its place itself
    return false;
  }
  ReadSection(*root, "");
  return true;
}

void ConfigSchema::ReadSection(const YamlNode& node, const std::string& path) {
  if (node.kind == YamlNode::Kind::kNull) return;  // every key below is commented out
  if (node.kind != YamlNode::Kind::kMap) {
    return Problem(Place(node), (path.empty() ? "the file" : Quoted(path)) +
                                    " must be a map of settings, and is " +
                                    std::string(KindName(node.kind)));
  }
  for (const auto& [key, value] : node.members) {
    std::string full = Join(path, key.text);
    // A dot inside a key is no way to say `a: {b: ...}`.
    bool plain = key.text.find('.') == std::string::npos;
    if (Setting* setting = Find(full); plain && setting != nullptr) {
      ReadSetting(*setting, value);
    } else if (plain && IsSection(full)) {
      ReadSection(value, full);
    } else {
      UnknownKey(key, path);
    }
  }
}

void ConfigSchema::ReadSetting(Setting& setting, const YamlNode& node) {
  using Kind = YamlNode::Kind;
  if (setting.shape == Shape::kKind || setting.shape == Shape::kKinds) {
    return ReadKinds(setting, node);
  }
  if (setting.shape == Shape::kScalar) {
    if (node.kind == Kind::kScalar) return Assign(setting, std::span(&node.text, 1), Place(node));
    setting.where = Place(node);
    return Problem(Place(node), Quoted(setting.path) + " must be a single value (" + setting.type +
                                    "), and is " + std::string(KindName(node.kind)));
  }
  std::vector<std::string> values;
  for (const YamlNode& item : node.items) {
    if (item.kind == Kind::kScalar) values.push_back(item.text);
  }
  if (node.kind == Kind::kList && values.size() == node.items.size()) {
    return Assign(setting, values, Place(node));
  }
  setting.where = Place(node);
  Problem(Place(node), Quoted(setting.path) + " must be a " + setting.type + ", like [a, b]");
}

void ConfigSchema::ReadKinds(Setting& setting, const YamlNode& node) {
  setting.where = Place(node);
  const bool single = setting.shape == Shape::kKind;
  if (node.kind != YamlNode::Kind::kMap || (single && node.members.size() != 1)) {
    return Problem(Place(node), Quoted(setting.path) + " must be a map with " +
                                    (single ? "one key, " : "keys among ") + setting.type +
                                    ", like {" + setting.choices.front() + ": {}}");
  }
  std::vector<std::string> kinds;
  for (const auto& [key, value] : node.members) {
    if (std::ranges::find(setting.choices, key.text) == setting.choices.end()) {
      UnknownKey(key, setting.path);
      continue;
    }
    kinds.push_back(key.text);
    ReadSection(value, Join(setting.path, key.text));
  }
  if (kinds.size() == node.members.size()) Assign(setting, kinds, Place(node));
}

bool ConfigSchema::IsSection(std::string_view path) const { return !KeysBelow(path).empty(); }

std::vector<std::string> ConfigSchema::KeysBelow(std::string_view path) const {
  std::vector<std::string> keys;
  const std::string prefix = path.empty() ? "" : std::string(path) + ".";
  for (const Setting& setting : settings_) {
    if (setting.path == path) keys = setting.choices;
    if (!setting.path.starts_with(prefix)) continue;
    std::string rest = setting.path.substr(prefix.size());
    std::string key = rest.substr(0, rest.find('.'));
    if (std::ranges::find(keys, key) == keys.end()) keys.push_back(std::move(key));
  }
  return keys;
}

void ConfigSchema::UnknownKey(const YamlNode& key, const std::string& section) {
  const std::string unknown = "unknown key " + Quoted(key.text);
  const std::vector<std::string> known = KeysBelow(section);
  if (std::string near = NearestWord(key.text, known); !near.empty()) {
    return Problem(Place(key), unknown + "; did you mean `" + near + "`?");
  }
  if (size_t dot = key.text.rfind('.'); Find(Join(section, key.text)) != nullptr) {
    return Problem(Place(key), unknown + "; write `" + key.text.substr(0, dot) + ": {" +
                                   key.text.substr(dot + 1) + ": ...}`");
  }
  for (const Setting& setting : settings_) {  // right name, wrong section
    if (LastKey(setting.path) != key.text) continue;
    return Problem(Place(key), unknown + " here; did you mean `" + setting.path + "`?");
  }
  if (known.empty()) return Problem(Place(key), unknown + "; `" + section + "` has no settings");
  std::string list;
  for (const std::string& name : known) list += (list.empty() ? "" : ", ") + name;
  Problem(Place(key), unknown + "; known here: " + list);
}

ConfigSchema::Setting* ConfigSchema::FindNamed(std::string_view name,
                                               std::string (*name_of)(std::string_view)) {
  for (Setting& setting : settings_) {
    if (name_of(setting.path) == name) return &setting;
    if (!setting.shorthand.empty() && name_of(setting.shorthand) == name) return &setting;
  }
  return nullptr;
}

void ConfigSchema::ReadEnvironment(const Environment& environment) {
  for (const auto& [name, value] : environment) {
    if (!name.starts_with(kVariablePrefix) || name == kConfigVariable) continue;
    if (Setting* setting = FindNamed(name, EnvironmentName); setting != nullptr) {
      AssignText(*setting, value, name);
      continue;
    }
    for (const Setting& setting : settings_) {
      if (EditDistance(name, EnvironmentName(setting.path)) > kVariableSlipMax) continue;
      Problem(Printable(name, 64), "unknown environment variable; did you mean `" +
                                       EnvironmentName(setting.path) + "`?");
      break;
    }
  }
}

void ConfigSchema::ReadFlags(const std::vector<std::string>& arguments) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    // What is no flag may be a secret in the wrong place: it is counted, not quoted.
    if (!arguments[i].starts_with("--")) {
      Problem(program_, "argument " + std::to_string(i + 1) + " belongs to no flag");
      continue;
    }
    const size_t equals = arguments[i].find('=');
    const std::string name = arguments[i].substr(0, equals);
    const bool more = i + 1 < arguments.size();
    std::optional<std::string> value;
    if (equals != std::string::npos) value = arguments[i].substr(equals + 1);

    Setting* setting = FindNamed(name, FlagName);
    if (setting == nullptr && name != kConfigFlag) {
      std::vector<std::string> known{std::string(kConfigFlag)};
      for (const Setting& s : settings_) known.push_back(FlagName(s.path));
      std::string near = NearestWord(name, known);
      Problem(Printable(name, 64),
              near.empty() ? "unknown flag; --help lists them"
                           : "unknown flag; did you mean `" + near + "`?");
      if (!value && more && !arguments[i + 1].starts_with("--")) ++i;
      continue;
    }
    if (!value && setting != nullptr && setting->is_bool) {
      bool spelled = more && (arguments[i + 1] == "true" || arguments[i + 1] == "false");
      value = spelled ? arguments[++i] : "true";
    } else if (!value && more) {
      value = arguments[++i];
    }
    if (!value) {
      Problem(name, "a value is missing behind this flag");
    } else if (setting != nullptr) {
      AssignText(*setting, *value, name);
    }
  }
}

std::string ConfigSchema::Place(const YamlNode& node) const {
  return file_ + ":" + std::to_string(node.line) + ":" + std::to_string(node.column);
}

}  // namespace writ
