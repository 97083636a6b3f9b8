// SPDX-License-Identifier: Apache-2.0
//
// The wired agent while its server is away: what must hold from the first moment.
#include "agent/agent.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "core/base/file.h"
#include "core/base/thread.h"
#include "core/net/grpc_channel.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "spiffe/workload/workload.grpc.pb.h"
#include "test/fake/fake_log.h"
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

TEST_F(AgentTest, ValidateReadsTheBundleFile) {
  AgentConfig config = Config();
  config.server.insecure_bootstrap = false;
  config.server.bundle_file = dir_ / "bundle.pem";
  const auto missing = ValidateAgent(config);
  ASSERT_TRUE(missing.ok()) << missing.status().ToString();
  ASSERT_FALSE(missing->empty());
  EXPECT_NE(missing->back().find("bundle.pem"), std::string::npos) << missing->back();

  ASSERT_TRUE(WriteFileAtomic(config.server.bundle_file, "no bundle", 0600).ok());
  const auto malformed = ValidateAgent(config);
  ASSERT_FALSE(malformed.ok());
  EXPECT_NE(malformed.status().message().find("bundle.pem"), std::string::npos)
      << malformed.status().message();
}

}  // namespace
}  // namespace writ
