// SPDX-License-Identifier: Apache-2.0
#include "core/base/config_yaml.h"

#include <gtest/gtest.h>

#include "test/fake/fake_clock.h"

namespace writ {
namespace {

std::string ErrorOf(std::string_view text) {
  Result<YamlNode> node = ParseYaml(text, "f.yaml");
  return node.ok() ? "accepted" : node.status().message();
}

TEST(YamlTest, ReadsMapsListsAndScalarsWithTheirPlaces) {
  Result<YamlNode> root = ParseYaml("a: 1\nb:\n  - x\n  - \"y z\"\nc: {d: , e: ~}\n", "f.yaml");
  ASSERT_TRUE(root.ok()) << root.status().ToString();
  EXPECT_EQ(root->Find("a")->text, "1");
  const YamlNode* list = root->Find("b");
  ASSERT_EQ(list->kind, YamlNode::Kind::kList);
  EXPECT_EQ(list->items[1].text, "y z");
  EXPECT_EQ(list->items[1].line, 4);
  EXPECT_EQ(list->items[1].column, 5);
  EXPECT_EQ(root->Find("c")->Find("d")->kind, YamlNode::Kind::kNull);
  EXPECT_EQ(root->Find("c")->Find("e")->kind, YamlNode::Kind::kNull);
  EXPECT_EQ(root->Find("absent"), nullptr);
}

TEST(YamlTest, JsonIsYaml) {
  Result<YamlNode> root = ParseYaml(R"({"a": [{"b": "c"}], "d": true})", "f.json");
  ASSERT_TRUE(root.ok()) << root.status().ToString();
  EXPECT_EQ(root->Find("a")->items[0].Find("b")->text, "c");
}

TEST(YamlTest, AnEmptyDocumentIsNothing) {
  for (std::string_view text : {"", "\n", "# only a comment\n", "---\n"}) {
    Result<YamlNode> root = ParseYaml(text, "f.yaml");
    ASSERT_TRUE(root.ok()) << text;
    EXPECT_EQ(root->kind, YamlNode::Kind::kNull);
  }
}

TEST(YamlTest, RefusesWithThePlace) {
  EXPECT_EQ(ErrorOf("a: 1\n\nb: 2\na: 3\n"),
            "f.yaml:4:1: key `a` was given already on line 1; remove one of the two");
  EXPECT_EQ(ErrorOf("a: &x 1\n"),
            "f.yaml:1:4: anchors (`&name`) are not allowed; write the value out");
  EXPECT_EQ(ErrorOf("a: !secret b\n"), "f.yaml:1:4: tags (`!secret`) are not allowed");
  EXPECT_EQ(ErrorOf("? [a]\n: b\n"), "f.yaml:1:3: a key must be a name, and is a list");
  EXPECT_EQ(ErrorOf("a: 1\n--- \nb: 2\n"),
            "f.yaml: more than one YAML document; keep the first alone");
  EXPECT_EQ(ErrorOf("a: b\x04\nevil: true\n"), "f.yaml:1:5: control character \\x04; remove it");
  EXPECT_EQ(ErrorOf(std::string_view("a: b\0", 5)).substr(0, 12), "f.yaml:1:5: ");
  EXPECT_EQ(ErrorOf("a: [1, 2\n").substr(0, 7), "f.yaml:");
  EXPECT_NE(ErrorOf("a: *nowhere\n"), "accepted");
  EXPECT_NE(ErrorOf("a: b: c\n"), "accepted");
  EXPECT_NE(ErrorOf("a: 1\n\tb: 2\n"), "accepted");
}

TEST(YamlTest, ABombIsRefusedAtItsFirstAnchor) {
  std::string text = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\n";
  EXPECT_NE(ErrorOf(text).find("anchors"), std::string::npos);
}

TEST(YamlTest, DepthAndWidthAreBounded) {
  EXPECT_NE(ErrorOf(std::string(17, '[') + std::string(17, ']')).find("deeper than 16"),
            std::string::npos);
  EXPECT_EQ(ErrorOf(std::string(16, '[') + std::string(16, ']')), "accepted");
  EXPECT_NE(ErrorOf(std::string(200'000, '[')), "accepted");
  EXPECT_NE(ErrorOf(std::string(200'000, '{')), "accepted");
  std::string wide;
  for (int i = 0; i < 1025; ++i) wide += "k" + std::to_string(i) + ": 1\n";
  EXPECT_NE(ErrorOf(wide).find("more than 1024 keys"), std::string::npos);
}

TEST(YamlTest, MutatedTextNeverCrashes) {
  const std::string seed_text =
      "trust_domain: example.org\nlisten:\n  address: \"0.0.0.0:8081\"\n  http: ''\n"
      "ca: {ttl: 24h, subject: {country: US}}\nnode_attestors:\n- a\n- |\n  block\n- >-\n  fold\n";
  SeededRandom random(11);
  for (int round = 0; round < 5'000; ++round) {
    std::string text = seed_text;
    for (uint64_t edits = 1 + random.Uint64() % 5; edits > 0; --edits) {
      size_t at = random.Uint64() % text.size();
      switch (random.Uint64() % 4) {
        case 0: text[at] = static_cast<char>(random.Uint64()); break;
        case 1: text.erase(at, 1 + random.Uint64() % 3); break;
        case 2: text.insert(at, text.substr(random.Uint64() % text.size(), 12)); break;
        default: text.insert(at, 1, "{}[]\"':,&*!|>%@`#-? \n\t"[random.Uint64() % 22]); break;
      }
      if (text.empty()) text = "a";
    }
    Result<YamlNode> node = ParseYaml(text, "f.yaml");
    if (node.ok()) continue;
    ASSERT_TRUE(node.status().message().starts_with("f.yaml:")) << text;
  }
}

}  // namespace
}  // namespace writ
