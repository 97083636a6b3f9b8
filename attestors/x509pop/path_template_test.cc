// SPDX-License-Identifier: Apache-2.0
#include "attestors/x509pop/path_template.h"

#include <gtest/gtest.h>

namespace writ {
namespace {

const PathFacts kFacts{.plugin_name = "x509pop",
                       .trust_domain = "example.org",
                       .fingerprint = "ab12",
                       .serial_number_hex = "0a",
                       .svid_path_trimmed = "host/1",
                       .common_name = "node-1",
                       .san_selectors = {{"env", "prod"}, {"k_2", "v"}}};

std::string Expanded(std::string_view text) {
  Result<PathTemplate> parsed = PathTemplate::Parse(text);
  if (!parsed.ok()) return parsed.status().message();
  Result<std::string> path = parsed->Expand(kFacts);
  return path.ok() ? *path : path.status().message();
}

TEST(PathTemplateTest, EveryVariableStandsForItsFact) {
  EXPECT_EQ(Expanded("{{ .PluginName }}/{{ .Fingerprint }}"), "x509pop/ab12");
  EXPECT_EQ(Expanded("{{ .PluginName }}/{{ .SVIDPathTrimmed }}"), "x509pop/host/1");
  EXPECT_EQ(Expanded("{{ .TrustDomain }}/{{ .SerialNumberHex }}"), "example.org/0a");
  EXPECT_EQ(Expanded("{{ .Subject.CommonName }}"), "node-1");
  EXPECT_EQ(Expanded("x/{{ .URISanSelectors.env }}-{{ .URISanSelectors.k_2 }}"), "x/prod-v");
}

TEST(PathTemplateTest, SpacesAndTheFirstSlashAreFree) {
  EXPECT_EQ(Expanded("/{{.PluginName}}/{{\t.Fingerprint  }}"), "x509pop/ab12");
  EXPECT_EQ(Expanded("/cn/{{ .Subject.CommonName }}"), "cn/node-1");
  EXPECT_EQ(Expanded("all"), "all");
}

TEST(PathTemplateTest, AnythingElseIsRefusedWithItsColumn) {
  for (const char* text :
       {"{{ .Issuer }}", "{{ .Subject }}", "{{ .Subject.Organization }}", "{{ .pluginname }}",
        "{{ PluginName }}", "{{ .URISanSelectors }}", "{{ .URISanSelectors. }}",
        "{{ .URISanSelectors.a-b }}", "{{ .URISanSelectors.1a }}", "{{ .URISanSelectors.a.b }}",
        "{{ .PluginName | upper }}", "{{ lower .PluginName }}", "{{- .PluginName -}}",
        "{{ if .PluginName }}", "{{ \"x\" }}", "{{}}", "{{ }}", "{{/* c */}}",
        "{{ {{ .PluginName }}"}) {
    std::string error = PathTemplate::Parse("ab/" + std::string(text)).status().message();
    EXPECT_TRUE(error.starts_with("column 4: ")) << text << ": " << error;
  }
  EXPECT_EQ(PathTemplate::Parse("a{{ .PluginName").status().message(),
            "column 2: \"{{\" has no \"}}\"");
  EXPECT_NE(Expanded("{{ .Nam }}").find("\".Nam\" is no variable; use .PluginName"),
            std::string::npos);
}

TEST(PathTemplateTest, TextThatFitsIntoNoPathIsRefused) {
  for (const char* text : {"", "/", "//a", "a//b", "a/", "a b", "a/../{{ .PluginName }}", "}}",
                           "{ .PluginName }", "a%20b", "./{{ .Fingerprint }}"}) {
    EXPECT_EQ(PathTemplate::Parse(text).code(), Code::kInvalidArgument) << text;
  }
}

TEST(PathTemplateTest, ASanThatTheCertificateLacksIsNamed) {
  EXPECT_NE(Expanded("{{ .URISanSelectors.region }}").find("x509pop://example.org/region/<value>"),
            std::string::npos);
}

}  // namespace
}  // namespace writ
