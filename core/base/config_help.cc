// SPDX-License-Identifier: Apache-2.0
//
// The telling half of ConfigSchema: what its table looks like in --help and in the reference.
#include "core/base/config.h"

namespace writ {
namespace {

// Breaks `text` at spaces into lines of at most `width`, each behind `indent`.
std::string Wrapped(std::string_view text, std::string_view indent, size_t width) {
  std::string out;
  std::string line;
  while (!text.empty()) {
    std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    if (!line.empty() && indent.size() + line.size() + 1 + word.size() > width) {
      out += std::string(indent) + line + "\n";
      line.clear();
    }
    line += (line.empty() ? "" : " ") + std::string(word);
  }
  return out + std::string(indent) + line + "\n";
}

}  // namespace

std::string ConfigSchema::FlagHelp() const {
  constexpr size_t kWidth = 80;
  std::string out = "  --config FILE\n" +
                    Wrapped("The YAML configuration file. [WRIT_CONFIG]", "        ", kWidth);
  for (const Setting& setting : settings_) {
    out += "  " + FlagName(setting.path);
    if (!setting.shorthand.empty()) out += ", " + FlagName(setting.shorthand);
    out += " <" + setting.type + ">\n";
    std::string text = setting.doc + " [" + EnvironmentName(setting.path);
    if (!setting.shorthand.empty()) text += ", " + EnvironmentName(setting.shorthand);
    text += "]";
    if (setting.required) text += " Required.";
    if (!setting.default_text.empty()) text += " Default: " + setting.default_text;
    out += Wrapped(text, "        ", kWidth);
  }
  return out;
}

std::string ConfigSchema::Reference() const {
  std::string out =
      "| Setting | Type | Default | What it is | Environment | Flag |\n"
      "|---|---|---|---|---|---|\n";
  for (const Setting& setting : settings_) {
    std::string environment = "`" + EnvironmentName(setting.path) + "`";
    std::string flag = "`" + FlagName(setting.path) + "`";
    if (!setting.shorthand.empty()) {
      environment += ", `" + EnvironmentName(setting.shorthand) + "`";
      flag += ", `" + FlagName(setting.shorthand) + "`";
    }
    std::string fallback = setting.required ? "required"
                           : setting.default_text.empty() ? "none"
                                                          : "`" + setting.default_text + "`";
    out += "| `" + setting.path + "` | " + setting.type + " | " + fallback + " | " + setting.doc +
           " | " + environment + " | " + flag + " |\n";
  }
  return out;
}

}  // namespace writ
