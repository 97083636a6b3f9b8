// SPDX-License-Identifier: Apache-2.0
//
// The wired agent while its server is away: what must hold from the first moment.
#include "agent/agent.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "agent/state/agent_state.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/random.h"
#include "core/base/thread.h"
#include "core/net/grpc_channel.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "spiffe/workload/workload.grpc.pb.h"
#include "test/fake/fake_log.h"
#include "test/fake/fake_server.h"
#include "test/support/paths.h"

namespace writ {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckResponse;

class AgentTest : public testing::Test {
 protected:
  AgentConfig Config() const {
    AgentConfig config;
    config.trust_domain = TrustDomain::Parse("example.org").value();
    config.data_dir = dir_ / "data";
    config.server.address = "127.0.0.1:1";  // nobody listens there
    config.server.insecure_bootstrap = true;
    config.workload_socket = dir_ / "public/workload.sock";
    config.admin_socket = dir_ / "admin/admin.sock";
    config.http = "127.0.0.1:0";
    config.node_attestor_options.join_token = Secret(std::string("token"));
    return config;
  }
  static mode_t ModeOf(const std::string& path) {
    struct stat file{};
    return stat(path.c_str(), &file) == 0 ? file.st_mode & 07777 : 0;
  }

  TempDir dir_;
  FakeLog log_;
  StopSignal stop_;
};

TEST_F(AgentTest, WithoutItsServerItAnswersUnavailableAndStopsCleanly) {
  auto agent = Agent::Start(Config(), &stop_, &log_);
  ASSERT_TRUE(agent.ok()) << agent.status().ToString();
  Status verdict = Internal("still running");
  Thread runner("runner", [&](std::stop_token) { verdict = (*agent)->Run(); });

  const auto workload = UnixChannel(dir_ / "public/workload.sock");
  grpc::ClientContext context;
  context.AddMetadata("workload.spiffe.io", "true");
  auto stream = SpiffeWorkloadAPI::NewStub(workload)->FetchX509SVID(&context, {});
  X509SVIDResponse none;
  EXPECT_FALSE(stream->Read(&none));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);

  for (const auto& channel : {workload, UnixChannel(dir_ / "admin/admin.sock")}) {
    grpc::ClientContext health_context;
    HealthCheckResponse health;
    ASSERT_TRUE(Health::NewStub(channel)->Check(&health_context, {}, &health).ok());
    EXPECT_EQ(health.status(), HealthCheckResponse::NOT_SERVING);
  }
  stop_.Stop();
  runner.Join();
  EXPECT_TRUE(verdict.ok()) << verdict.ToString();
}

TEST_F(AgentTest, SocketsAndDirectoriesHaveTheirModes) {
  auto agent = Agent::Start(Config(), &stop_, &log_);
  ASSERT_TRUE(agent.ok()) << agent.status().ToString();
  EXPECT_EQ(ModeOf(dir_ / "public"), 0755u);
  EXPECT_EQ(ModeOf(dir_ / "public/workload.sock"), 0666u);
  EXPECT_EQ(ModeOf(dir_ / "admin"), 0750u);
  EXPECT_EQ(ModeOf(dir_ / "admin/admin.sock"), 0660u);
  EXPECT_EQ(ModeOf(dir_ / "data"), 0700u);
}

TEST_F(AgentTest, ASecondAgentOnTheSameDataIsRefused) {
  auto first = Agent::Start(Config(), &stop_, &log_);
  ASSERT_TRUE(first.ok()) << first.status().ToString();
  AgentConfig config = Config();
  config.workload_socket = dir_ / "public2/workload.sock";
  config.admin_socket = dir_ / "admin2/admin.sock";
  const auto second = Agent::Start(std::move(config), &stop_, &log_);
  EXPECT_EQ(second.code(), Code::kFailedPrecondition);
}

TEST_F(AgentTest, ASocketThatCannotBeMadeIsSaid) {
  AgentConfig config = Config();
  config.workload_socket = "/proc/nowhere/workload.sock";
  const auto agent = Agent::Start(std::move(config), &stop_, &log_);
  ASSERT_FALSE(agent.ok());
  EXPECT_NE(agent.status().message().find("/proc/nowhere"), std::string::npos)
      << agent.status().message();
}

// As a start does, an agent that keeps a bundle goes on without the file.
TEST_F(AgentTest, ValidateReadsTheBundleFile) {
  AgentConfig config = Config();
  config.server.insecure_bootstrap = false;
  config.server.bundle_file = dir_ / "bundle.pem";
  const auto missing = ValidateAgent(config);
  ASSERT_FALSE(missing.ok());
  EXPECT_NE(missing.status().message().find("bundle.pem"), std::string::npos);

  ASSERT_TRUE(MakeDirectories(config.data_dir, 0700).ok());
  const auto state = MakeFileAgentState(config.data_dir, *config.trust_domain, &log_);
  SystemClock clock;
  SystemRandom random;
  const Bundle bundle = FakeServer(*config.trust_domain, &clock, &random).CurrentBundle();
  ASSERT_TRUE(state->StoreBundle(bundle).ok());
  const auto kept = ValidateAgent(config);
  ASSERT_TRUE(kept.ok()) << kept.status().ToString();
  ASSERT_FALSE(kept->empty());
  EXPECT_NE(kept->back().find("bundle.pem"), std::string::npos) << kept->back();
  ASSERT_TRUE(RemoveFile(config.data_dir + "/bundle.json").ok());

  ASSERT_TRUE(WriteFileAtomic(config.server.bundle_file, "no bundle", 0600).ok());
  const auto malformed = ValidateAgent(config);
  ASSERT_FALSE(malformed.ok());
  EXPECT_NE(malformed.status().message().find("bundle.pem"), std::string::npos)
      << malformed.status().message();
}

TEST_F(AgentTest, ValidateRefusesWhatAStartWouldRefuse) {
  ASSERT_TRUE(ValidateAgent(Config()).ok()) << ValidateAgent(Config()).status().ToString();
  EXPECT_TRUE(std::filesystem::is_empty(dir_.path()));
  ASSERT_TRUE(WriteFileAtomic(dir_ / "file", "", 0600).ok());
  auto refused = [&](auto change, const std::string& words) {
    AgentConfig config = Config();
    change(config);
    const auto validated = ValidateAgent(config);
    EXPECT_FALSE(validated.ok()) << words;
    EXPECT_NE(validated.status().message().find(words), std::string::npos)
        << validated.status().message();
    EXPECT_FALSE(Agent::Start(std::move(config), &stop_, &log_).ok()) << words;
  };
  refused([&](AgentConfig& c) { c.data_dir = dir_ / "file/data"; }, "data_dir");
  refused([&](AgentConfig& c) { c.data_dir = dir_ / "file"; }, "data_dir");
  refused([&](AgentConfig& c) { c.workload_socket = dir_ / "file"; }, "workload_socket");
  refused([&](AgentConfig& c) { c.admin_socket = dir_ / "file/a.sock"; }, "admin_socket");
  refused([](AgentConfig& c) { c.admin_socket_group = "no-such-group"; }, "admin_socket_group");
}

}  // namespace
}  // namespace writ
