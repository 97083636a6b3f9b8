// SPDX-License-Identifier: Apache-2.0
#include "server/config.h"

#include <gtest/gtest.h>

#include "core/base/file.h"
#include "test/support/config_example.h"
#include "test/support/golden.h"
#include "test/support/paths.h"

namespace writ {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

const std::vector<std::string> kLeast = {"--trust-domain", "example.org"};

std::string ErrorOf(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), kLeast.begin(), kLeast.end());
  Result<ServerConfig> config = LoadServerConfig(arguments, {});
  return config.ok() ? "accepted" : config.status().message();
}

TEST(ServerConfigTest, ATrustDomainIsEnough) {
  Result<ServerConfig> config = LoadServerConfig(kLeast, {});
  ASSERT_TRUE(config.ok()) << config.status().ToString();
  EXPECT_EQ(config->trust_domain->name(), "example.org");
  EXPECT_EQ(config->listen.address, "0.0.0.0:8081");
  EXPECT_EQ(config->listen.admin_socket, "/run/writ/server/admin.sock");
  EXPECT_EQ(config->ca.ttl, hours(24));
  EXPECT_EQ(config->ca.subject.organization, "Writ");
  EXPECT_EQ(config->svid.agent_ttl, hours(1));
  EXPECT_EQ(config->sqlite_path, "/var/lib/writ/server/writ.db");
  EXPECT_EQ(config->audit_path, "/var/lib/writ/server/audit.jsonl");
  EXPECT_EQ(config->key_manager, KeyManagerKind::kDisk);
  EXPECT_EQ(config->node_attestors, std::vector<std::string>{"join_token"});
  EXPECT_TRUE(Warnings(*config).empty());
}

TEST(ServerConfigTest, WhatFollowsFromOtherSettingsFollowsThem) {
  Result<ServerConfig> config =
      LoadServerConfig({"--trust-domain=example.org", "--data-dir=/d", "--svid-x509-ttl=2h"}, {});
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config->svid.agent_ttl, hours(2));
  EXPECT_EQ(config->sqlite_path, "/d/writ.db");
  EXPECT_EQ(config->audit_path, "/d/audit.jsonl");
}

TEST(ServerConfigTest, TheTrustDomainIsRequiredAndChecked) {
  EXPECT_EQ(LoadServerConfig({}, {}).status().message(),
            "writ-server: `trust_domain` is required; set it in the file, as WRIT_TRUST_DOMAIN or "
            "with --trust-domain");
  Status status = LoadServerConfig({}, {{"WRIT_TRUST_DOMAIN", "Example.org"}}).status();
  EXPECT_TRUE(status.message().starts_with("WRIT_TRUST_DOMAIN: `trust_domain`: "))
      << status.ToString();
}

TEST(ServerConfigTest, BadValuesAreRefused) {
  for (const char* flag :
       {"--data-dir=relative", "--listen-address=8081", "--listen-address=", "--listen-http=x",
        "--listen-admin-socket=admin.sock", "--ca-ttl=0", "--ca-ttl=200000h",
        "--svid-jwt-ttl=999ms", "--ca-key-type=ed25519", "--ca-jwt-key-type=rsa-1024",
        "--ca-subject-country=usa", "--ca-subject-country=us", "--datastore=postgres",
        "--key-manager=tpm", "--node-attestors=tpm", "--log-level=trace",
        "--svid-subject-organization=", "--audit-path=/var/lib/writ/server/writ.db",
        "--rate-limit-signing=-1"}) {
    EXPECT_NE(ErrorOf({flag}), "accepted") << flag;
  }
  EXPECT_NE(ErrorOf({"--listen-admin-socket=/" + std::string(107, 's')}), "accepted");
  EXPECT_NE(ErrorOf({"--ca-subject-organization=" + std::string(65, 'o')}), "accepted");
  EXPECT_EQ(ErrorOf({"--listen-http=", "--listen-address=[::]:0", "--key-manager=memory"}),
            "accepted");
}

TEST(ServerConfigTest, WarnsOfSvidsThatWouldBeCutShort) {
  Result<ServerConfig> config = LoadServerConfig(
      {"--trust-domain=example.org", "--ca-ttl=5h", "--svid-jwt-ttl=50m", "--svid-agent-ttl=3h"},
      {});
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(Warnings(*config),
            (std::vector<std::string>{
                "svid.x509_ttl of 1h is more than a sixth of the ca.ttl of 5h, so some SVIDs will "
                "be cut short; set ca.ttl to at least 6h",
                "svid.agent_ttl of 3h is more than a sixth of the ca.ttl of 5h, so some SVIDs will "
                "be cut short; set ca.ttl to at least 18h"}));
}

TEST(ServerConfigTest, WarnsOfKeysInMemoryAndOfNoAttestor) {
  Result<ServerConfig> config =
      LoadServerConfig({"--trust-domain=a", "--key-manager=memory", "--node-attestors="}, {});
  ASSERT_TRUE(config.ok()) << config.status().ToString();
  EXPECT_EQ(Warnings(*config).size(), 2u);
}

TEST(ServerConfigTest, WarnsOfAgentPathsThatDoNotTellNodesApart) {
  auto warnings = [](const std::string& path_template, const std::string& mode,
                     const std::string& attestors = "join_token,x509pop") {
    const Result<ServerConfig> config = LoadServerConfig(
        {"--trust-domain=a", "--node-attestors=" + attestors,
         "--node-attestors-x509pop-mode=" + mode,
         "--node-attestors-x509pop-agent-path-template=" + path_template},
        {});
    EXPECT_TRUE(config.ok()) << config.status().ToString();
    return config.ok() ? Warnings(*config) : std::vector<std::string>{"invalid"};
  };
  for (const char* text : {"x509pop/fixed", "{{ .PluginName }}/{{ .TrustDomain }}"}) {
    ASSERT_EQ(warnings(text, "external_pki").size(), 1u) << text;
    EXPECT_TRUE(warnings(text, "external_pki")
                    .front()
                    .starts_with("node_attestors.x509pop.agent_path_template has no variable of "
                                 "the certificate: all nodes become one agent"));
    EXPECT_EQ(warnings(text, "spiffe").size(), 1u) << text;
    EXPECT_TRUE(warnings(text, "spiffe", "join_token").empty()) << text;
  }
  for (const char* text : {"a/{{ .Fingerprint }}", "{{ .URISanSelectors.host }}"}) {
    EXPECT_TRUE(warnings(text, "external_pki").empty()) << text;
  }
  EXPECT_TRUE(warnings("a/{{ .SVIDPathTrimmed }}", "spiffe").empty());
  ASSERT_EQ(warnings("a/{{ .SVIDPathTrimmed }}", "external_pki").size(), 1u);
  EXPECT_NE(warnings("a/{{ .SVIDPathTrimmed }}", "external_pki").front().find("is empty in mode"),
            std::string::npos);
}

TEST(ServerConfigTest, RateLimitsAreReadAndASmallOneIsWarnedOf) {
  Result<ServerConfig> config = LoadServerConfig(
      {"--trust-domain=a", "--rate-limit-attestation=0", "--rate-limit-signing=499"}, {});
  ASSERT_TRUE(config.ok()) << config.status().ToString();
  EXPECT_EQ(config->rate_limit.attestation, 0);
  EXPECT_EQ(config->rate_limit.signing, 499);
  EXPECT_EQ(Warnings(*config).size(), 1u);
  EXPECT_EQ(LoadServerConfig(kLeast, {})->rate_limit.attestation, 1);
  EXPECT_EQ(LoadServerConfig(kLeast, {})->rate_limit.signing, 500);
}

TEST(ServerConfigTest, ProxiesAreRangesOfAddresses) {
  Result<ServerConfig> config = LoadServerConfig(
      {"--trust-domain=a", "--proxy-protocol-trusted-cidrs=10.0.0.0/8,fd00::/8"}, {});
  ASSERT_TRUE(config.ok()) << config.status().ToString();
  ASSERT_EQ(config->proxies.size(), 2u);
  EXPECT_TRUE(config->proxies[1].Contains(*IpAddress::Parse("fd00::7")));
  EXPECT_NE(ErrorOf({"--trust-domain=a", "--proxy-protocol-trusted-cidrs=10.0.0.1"})
                .find("is not a range of addresses"),
            std::string::npos);
}

TEST(ServerConfigTest, WarnsOfProxiesThatAreEverybody) {
  auto warnings = [](const std::string& ranges) {
    return Warnings(
        *LoadServerConfig({"--trust-domain=a", "--proxy-protocol-trusted-cidrs=" + ranges}, {}));
  };
  EXPECT_EQ(warnings("10.0.0.0/8,192.0.2.1/32,2001:db8::/32").size(), 0u);
  EXPECT_EQ(warnings("10.0.0.0/8,0.0.0.0/0").size(), 1u);
  EXPECT_NE(warnings("0.0.0.0/0").front().find("every IPv4 address"), std::string::npos);
  EXPECT_NE(warnings("::ffff:0:0/96").front().find("every IPv4 address"), std::string::npos);
  EXPECT_EQ(warnings("::/0").size(), 2u);
}

TEST(ServerConfigTest, AdminIdsAndPruningAreReadAndWhatCannotWorkIsWarnedOf) {
  Result<ServerConfig> config = LoadServerConfig(
      {"--trust-domain=a", "--admin-ids=spiffe://a/ops,spiffe://b/ops", "--prune-non-reattestable"},
      {});
  ASSERT_TRUE(config.ok()) << config.status().ToString();
  ASSERT_EQ(config->admin_ids.size(), 2u);
  EXPECT_EQ(config->admin_ids[0].text(), "spiffe://a/ops");
  EXPECT_TRUE(config->prune.non_reattestable);
  EXPECT_EQ(config->prune.agents_expired_for, Duration::zero());
  EXPECT_EQ(Warnings(*config).size(), 2u);
  for (const char* id : {"/ops", "spiffe://example.org", "spiffe://example.org/spire/server",
                         "spiffe://example.org/spire/agent/x", "spiffe://b/spire/agent/x"}) {
    EXPECT_NE(ErrorOf({std::string("--admin-ids=") + id}), "accepted") << id;
  }
  EXPECT_NE(ErrorOf({"--prune-agents-expired-for=-1h"}), "accepted");
  EXPECT_EQ(ErrorOf({"--prune-agents-expired-for=720h"}), "accepted");
}

TEST(ServerConfigTest, TheExampleLoadsAndShowsEverySettingWithItsDefault) {
  ASSERT_TRUE(LoadServerConfig({"--config", SourcePath("conf/server.yaml")}, {}).ok());
  TempDir dir;
  std::string text = UncommentedExample("conf/server.yaml");
  ExpectExampleIsComplete(text, ServerReference());
  ASSERT_TRUE(WriteFileAtomic(dir / "server.yaml", text, 0600).ok());
  Result<ServerConfig> config = LoadServerConfig({"--config", dir / "server.yaml"}, {});
  ASSERT_TRUE(config.ok()) << config.status().ToString();
  EXPECT_EQ(config->svid.agent_ttl, hours(1));
  EXPECT_EQ(config->svid.jwt_ttl, minutes(5));
  EXPECT_EQ(config->sqlite_path, LoadServerConfig(kLeast, {})->sqlite_path);
  EXPECT_EQ(config->audit_path, LoadServerConfig(kLeast, {})->audit_path);
}

TEST(ServerConfigTest, ReferenceAndHelpAreCurrent) {
  ExpectGoldenSection("docs/configuration.md", "writ-server", "\n" + ServerReference() + "\n");
  ExpectGolden("test/golden/writ-server-flags.txt", ServerFlagHelp());
}

}  // namespace
}  // namespace writ
