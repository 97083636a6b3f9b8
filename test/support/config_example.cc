// SPDX-License-Identifier: Apache-2.0
#include "test/support/config_example.h"

#include <gtest/gtest.h>

#include <regex>
#include <sstream>

#include "core/base/config_yaml.h"
#include "core/base/file.h"
#include "test/support/paths.h"

namespace writ {
namespace {

const YamlNode* FindPath(const YamlNode& root, const std::string& path) {
  const YamlNode* node = &root;
  std::istringstream keys(path);
  for (std::string key; node != nullptr && std::getline(keys, key, '.');) node = node->Find(key);
  return node;
}

// A kind that the example does not use stands there as a whole in comments: its name, and below it
// its settings, each with its default if it has one.
bool StandsInComment(const std::string& example, const std::string& path,
                     const std::string& default_text) {
  const size_t key_at = path.rfind('.') + 1;
  const size_t kind_at = path.rfind('.', key_at - 2) + 1;
  const size_t kind = example.find("# " + path.substr(kind_at, key_at - 1 - kind_at) + ":\n");
  if (kind == std::string::npos) return false;
  const std::string setting = "#   " + path.substr(key_at) + ": ";
  return example.find(default_text.empty() ? setting : setting + default_text + "\n", kind) !=
         std::string::npos;
}

}  // namespace

std::string UncommentedExample(const std::string& relative) {
  Result<std::string> text = ReadFile(SourcePath(relative));
  EXPECT_TRUE(text.ok()) << text.status().ToString();
  if (!text.ok()) return "";
  static const std::regex kSetting("(^|\n)( *)# (?=[a-z0-9_]+: [^ ]+(\n|$))");
  return std::regex_replace(*text, kSetting, "$1$2");
}

void ExpectExampleIsComplete(const std::string& example, const std::string& reference) {
  Result<YamlNode> root = ParseYaml(example, "example");
  ASSERT_TRUE(root.ok()) << root.status().ToString();
  // | `path` | type | `default` | ...
  static const std::regex kRow("\n\\| `([^`]+)` \\| [^|]+ \\| (`([^`]*)`|required|none) \\|");
  int rows = 0;
  for (std::sregex_iterator row(reference.begin(), reference.end(), kRow), end; row != end; ++row) {
    ++rows;
    const std::string path = (*row)[1];
    const YamlNode* node = FindPath(*root, path);
    if (node == nullptr && StandsInComment(example, path, (*row)[3])) continue;
    ASSERT_NE(node, nullptr) << path << " is missing in the example";
    if (!(*row)[3].matched) continue;
    const bool same = node->kind == YamlNode::Kind::kMap ? node->Find((*row)[3].str()) != nullptr
                                                         : node->text == (*row)[3].str();
    EXPECT_TRUE(same) << path << " does not stand with its default " << (*row)[3];
  }
  EXPECT_GT(rows, 10);
}

}  // namespace writ
