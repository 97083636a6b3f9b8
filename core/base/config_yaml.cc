// SPDX-License-Identifier: Apache-2.0
#include "core/base/config_yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <optional>
#include <sstream>

#include "core/base/bytes.h"

namespace writ {
namespace {

std::string Place(const std::string& name, int line, int column) {
  return name + ":" + std::to_string(line) + ":" + std::to_string(column) + ": ";
}

// Builds the tree from the library's events. After the first problem it ignores what comes.
class TreeBuilder final : public YAML::EventHandler {
 public:
  explicit TreeBuilder(const std::string& name) : name_(name) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (Admit(mark, "", anchor)) Put(NodeAt(mark, YamlNode::Kind::kNull));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    Fail(mark, "aliases (`*name`) are not allowed; write the value out");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    if (!Admit(mark, tag, anchor)) return;
    YamlNode node = NodeAt(mark, YamlNode::Kind::kScalar);
    node.text = value;
    Put(std::move(node));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(mark, tag, anchor, YamlNode::Kind::kList);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(mark, tag, anchor, YamlNode::Kind::kMap);
  }
  void OnMapEnd() override { Close(); }

  void Fail(const YAML::Mark& mark, const std::string& why) {
    if (!problem_.empty()) return;
    // The library counts from zero, and has -1 for "nowhere".
    problem_ = Place(name_, std::max(mark.line, 0) + 1, std::max(mark.column, 0) + 1) + why;
  }
  const std::string& problem() const { return problem_; }
  YamlNode TakeRoot() { return std::move(root_); }

 private:
  struct Frame {
    YamlNode node;
    std::optional<YamlNode> key;  // of a map, when its value comes next
  };

  static YamlNode NodeAt(const YAML::Mark& mark, YamlNode::Kind kind) {
    return YamlNode{.kind = kind, .line = mark.line + 1, .column = mark.column + 1};
  }

  bool Admit(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (anchor != 0) Fail(mark, "anchors (`&name`) are not allowed; write the value out");
    // "?" and "!" are the library's words for "none, plain" and "none, quoted".
    if (!tag.empty() && tag != "?" && tag != "!") {
      Fail(mark, "tags (`" + Printable(tag, 64) + "`) are not allowed");
    }
    return problem_.empty();
  }

  void Open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
            YamlNode::Kind kind) {
    if (!Admit(mark, tag, anchor)) return;
    if (open_.size() == kYamlDepthMax) {
      return Fail(mark, "nested deeper than " + std::to_string(kYamlDepthMax) + " levels");
    }
    open_.push_back(Frame{.node = NodeAt(mark, kind)});
  }

  void Close() {
    if (!problem_.empty()) return;
    YamlNode node = std::move(open_.back().node);
    open_.pop_back();
    Put(std::move(node));
  }

  void Put(YamlNode node) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Frame& frame = open_.back();
    if (frame.node.kind == YamlNode::Kind::kList) {
      frame.node.items.push_back(std::move(node));
    } else if (frame.key) {
      if (node.kind == YamlNode::Kind::kNull) {  // the library puts it where the next thing begins
        node.line = frame.key->line;
        node.column = frame.key->column;
      }
      frame.node.members.push_back({std::move(*frame.key), std::move(node)});
      frame.key.reset();
    } else {
      PutKey(frame, std::move(node));
    }
  }

  void PutKey(Frame& frame, YamlNode key) {
    YAML::Mark mark;
    mark.line = key.line - 1;
    mark.column = key.column - 1;
    if (key.kind != YamlNode::Kind::kScalar) {
      return Fail(mark, "a key must be a name, and is " + std::string(KindName(key.kind)));
    }
    if (frame.node.members.size() == kYamlKeysMax) {
      return Fail(mark, "a map of more than " + std::to_string(kYamlKeysMax) + " keys");
    }
    for (const auto& [earlier, value] : frame.node.members) {
      if (earlier.text != key.text) continue;
      return Fail(mark, "key `" + Printable(key.text, 64) + "` was given already on line " +
                            std::to_string(earlier.line) + "; remove one of the two");
    }
    frame.key = std::move(key);
  }

  const std::string& name_;
  std::vector<Frame> open_;
  YamlNode root_;
  std::string problem_;
};

// The library ends at the first byte 4 as if the file ended there, and skips others silently.
Status RefuseControlCharacters(std::string_view text, const std::string& name) {
  int line = 1;
  int column = 1;
  for (char c : text) {
    bool control = (static_cast<uint8_t>(c) < 0x20 && c != '\n' && c != '\r' && c != '\t') ||
                   c == 0x7f;
    if (control) {
      return InvalidArgument(Place(name, line, column) + "control character " +
                             Printable(std::string_view(&c, 1)) + "; remove it");
    }
    column = c == '\n' ? 1 : column + 1;
    line += c == '\n' ? 1 : 0;
  }
  return OkStatus();
}

}  // namespace

const YamlNode* YamlNode::Find(std::string_view key) const {
  auto it = std::ranges::find_if(members, [key](const Member& m) { return m.first.text == key; });
  return it == members.end() ? nullptr : &it->second;
}

std::string_view KindName(YamlNode::Kind kind) {
  switch (kind) {
    case YamlNode::Kind::kNull: return "nothing";
    case YamlNode::Kind::kScalar: return "text";
    case YamlNode::Kind::kList: return "a list";
    case YamlNode::Kind::kMap: return "a map";
  }
  return "unknown";
}

Result<YamlNode> ParseYaml(std::string_view text, const std::string& name) {
  TRY(RefuseControlCharacters(text, name));
  TreeBuilder builder(name);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    parser.HandleNextDocument(builder);
    TreeBuilder second(name);
    if (builder.problem().empty() && parser.HandleNextDocument(second)) {
      return InvalidArgument(name + ": more than one YAML document; keep the first alone");
    }
  } catch (const YAML::Exception& e) {
    builder.Fail(e.mark, "not valid YAML: " + Printable(e.msg));
  } catch (const std::exception& e) {
    return InvalidArgument(name + ": not valid YAML: " + Printable(e.what()));
  }
  if (!builder.problem().empty()) return InvalidArgument(builder.problem());
  return builder.TakeRoot();
}

}  // namespace writ
