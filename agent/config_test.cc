// SPDX-License-Identifier: Apache-2.0
#include "agent/config.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "core/base/file.h"
#include "test/support/config_example.h"
#include "test/support/golden.h"
#include "test/support/paths.h"

namespace writ {
namespace {

// All that has no default, but for whom to trust at first.
const std::vector<std::string> kLeast = {"--trust-domain=example.org", "--server-address=s:8081"};

Result<AgentConfig> Load(std::vector<std::string> arguments, const Environment& environment = {}) {
  arguments.insert(arguments.begin(), kLeast.begin(), kLeast.end());
  return LoadAgentConfig(arguments, environment);
}

std::string ErrorOf(std::vector<std::string> arguments) {
  Result<AgentConfig> config = Load(std::move(arguments));
  return config.ok() ? "accepted" : config.status().message();
}

// The same with a source of trust.
std::string ErrorWithBundle(std::string flag) {
  return ErrorOf({"--server-bundle-file=/b.pem", std::move(flag)});
}

TEST(AgentConfigTest, DefaultsAreThoseOfTheReference) {
  Result<AgentConfig> config = Load({"--server-bundle-file", "/etc/writ/bundle.pem"});
  ASSERT_TRUE(config.ok()) << config.status().ToString();
  EXPECT_EQ(config->trust_domain->name(), "example.org");
  EXPECT_EQ(config->workload_socket, "/run/writ/public/workload.sock");
  EXPECT_EQ(config->admin_socket, "/run/writ/agent/admin.sock");
  EXPECT_EQ(config->sync_interval, std::chrono::seconds(5));
  EXPECT_TRUE(config->server.rebootstrap);
  EXPECT_TRUE(config->node_attestor_options.join_token.empty());
  EXPECT_FALSE(config->unix_attestor.discover_workload_path);
  EXPECT_TRUE(Warnings(*config).empty());
}

TEST(AgentConfigTest, TheJoinTokenHasAShorthand) {
  auto token = [](const std::vector<std::string>& flags, const Environment& environment) {
    Result<AgentConfig> loaded = Load(flags, environment);
    return std::string(loaded->node_attestor_options.join_token.Reveal());
  };
  EXPECT_EQ(token({"--server-bundle-file=/b", "--join-token", "t1"}, {}), "t1");
  EXPECT_EQ(token({"--server-bundle-file=/b"}, {{"WRIT_JOIN_TOKEN", "t2"}}), "t2");
  std::string error = ErrorWithBundle("--join-token=hunter 2");
  EXPECT_NE(error.find("was it copied whole?"), std::string::npos) << error;
  EXPECT_EQ(error.find("hunter"), std::string::npos);
}

TEST(AgentConfigTest, ExactlyOneSourceOfTrustIsRequired) {
  EXPECT_EQ(ErrorOf({}),
            "writ-agent: `server.bundle_file` is missing: set it, or `server.bundle_url`, or, for "
            "trying out only, `server.insecure_bootstrap: true`");
  EXPECT_EQ(ErrorOf({"--server-bundle-file=/b", "--server-insecure-bootstrap"}),
            "--server-insecure-bootstrap: `server.insecure_bootstrap` is one source of trust too "
            "many: keep one of `server.bundle_file`, `server.bundle_url` and "
            "`server.insecure_bootstrap`");
  EXPECT_NE(ErrorOf({"--server-bundle-file=/b", "--server-bundle-url=https://a/b"}), "accepted");
  EXPECT_EQ(ErrorOf({"--server-bundle-url=https://a/b", "--server-ca-file=/ca.pem",
                     "--server-bundle-sha256=" + std::string(64, '0')}),
            "accepted");
  EXPECT_EQ(ErrorOf({"--server-insecure-bootstrap"}), "accepted");
  EXPECT_EQ(ErrorOf({"--server-bundle-file=", "--server-bundle-url=https://a"}), "accepted");
}

TEST(AgentConfigTest, WhatVouchesForAUrlNeedsOne) {
  EXPECT_EQ(ErrorWithBundle("--server-ca-file=/ca.pem"),
            "--server-ca-file: `server.ca_file` has no use without `server.bundle_url`; remove it");
  EXPECT_NE(ErrorWithBundle("--server-bundle-sha256=" + std::string(64, '0')), "accepted");
}

TEST(AgentConfigTest, AnAdminSocketThatWorkloadsCanSeeIsRefused) {
  for (const char* path : {"/run/writ/public/admin.sock", "/run/writ/public/a/b/admin.sock",
                           "/run/writ//public/admin.sock", "/run/writ/public/workload.sock"}) {
    std::string error = ErrorWithBundle(std::string("--admin-socket=") + path);
    EXPECT_TRUE(error.starts_with("--admin-socket: `admin_socket` lies in or below")) << error;
  }
  EXPECT_EQ(ErrorWithBundle("--admin-socket=/run/writ/public2/admin.sock"), "accepted");
  EXPECT_EQ(ErrorWithBundle("--admin-socket=/run/writ/admin.sock"), "accepted");
  EXPECT_NE(ErrorWithBundle("--workload-socket=/workload.sock"), "accepted");
}

TEST(AgentConfigTest, ASymbolicLinkDoesNotHideThatTheyShareADirectory) {
  TempDir dir;
  ASSERT_TRUE(MakeDirectories(dir / "public", 0755).ok());
  std::filesystem::create_symlink(dir / "public", dir / "other");
  EXPECT_NE(ErrorOf({"--server-bundle-file=/b", "--workload-socket=" + (dir / "public/w.sock"),
                     "--admin-socket=" + (dir / "other/a.sock")}),
            "accepted");
}

TEST(AgentConfigTest, BadValuesAreRefused) {
  for (const char* flag :
       {"--server-address=host", "--server-address=host:0", "--server-address=:1", "--http=8083",
        "--data-dir=x", "--workload-socket=w.sock", "--sync-interval=5", "--sync-interval=0s",
        "--sync-interval=25h", "--svid-key-type=ed25519", "--key-manager=tpm",
        "--node-attestor=tpm", "--node-attestor-x509pop-certificate-path=node.pem",
        "--workload-attestors=docker", "--server-bundle-file=b.pem",
        "--workload-attestors-unix-workload-size-limit=-2", "--cache-x509=-1", "--rate-limit=-1",
        "--workload-attestors-unix-discover-workload-path=yes"}) {
    EXPECT_NE(ErrorWithBundle(flag), "accepted") << flag;
  }
  EXPECT_NE(ErrorOf({"--server-bundle-url=http://a"}), "accepted");
  EXPECT_EQ(ErrorWithBundle("--http="), "accepted");
}

TEST(AgentConfigTest, WarnsOfWhatDeservesASecondLook) {
  Result<AgentConfig> config = Load({"--server-insecure-bootstrap", "--key-manager=memory",
                                     "--data-dir=/run/writ/public/data"});
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(Warnings(*config).size(), 3u);
}

TEST(AgentConfigTest, TheExampleLoadsAndShowsEverySettingWithItsDefault) {
  ASSERT_TRUE(LoadAgentConfig({"--config", SourcePath("conf/agent.yaml")}, {}).ok());
  TempDir dir;
  std::string text = UncommentedExample("conf/agent.yaml");
  ExpectExampleIsComplete(text, AgentReference());
  ASSERT_TRUE(WriteFileAtomic(dir / "agent.yaml", text, 0600).ok());
  Result<AgentConfig> config = LoadAgentConfig({"--config", dir / "agent.yaml"}, {});
  ASSERT_TRUE(config.ok()) << config.status().ToString();
  EXPECT_EQ(config->server.bundle_file, "/etc/writ/bundle.pem");
}

TEST(AgentConfigTest, ReferenceAndHelpAreCurrent) {
  ExpectGoldenSection("docs/configuration.md", "writ-agent", "\n" + AgentReference() + "\n");
  ExpectGolden("test/golden/writ-agent-flags.txt", AgentFlagHelp());
}

}  // namespace
}  // namespace writ
