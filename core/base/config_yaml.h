// SPDX-License-Identifier: Apache-2.0
//
// ParseYaml: a YAML document as a plain tree in which every node knows its place. The strict subset
// that configuration needs: maps with plain names as keys, lists and scalars. Anchors, aliases,
// tags, several documents, duplicate keys and control characters are refused, and so is what is
// too large, too deep or too wide.
//
// Trust: takes hostile text. Threads: values.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/status.h"

namespace writ {

inline constexpr size_t kYamlDepthMax = 16;
inline constexpr size_t kYamlKeysMax = 1024;  // of one map

struct YamlNode {
  enum class Kind { kNull, kScalar, kList, kMap };
  struct Member;

  Kind kind = Kind::kNull;
  int line = 1;    // counted from 1
  int column = 1;  // likewise
  std::string text;             // of a scalar
  std::vector<YamlNode> items;  // of a list
  std::vector<Member> members;  // of a map, in the order of the text; keys are scalars

  // The value of a key of this map, or null pointer.
  const YamlNode* Find(std::string_view key) const;
};

struct YamlNode::Member {
  YamlNode first;   // the key
  YamlNode second;  // its value
};

// "text", "a list", "a map", "nothing": for messages.
std::string_view KindName(YamlNode::Kind kind);

// An empty document is a null node. Errors begin with "<name>:<line>:<column>: ".
Result<YamlNode> ParseYaml(std::string_view text, const std::string& name);

}  // namespace writ
