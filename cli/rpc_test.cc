// SPDX-License-Identifier: Apache-2.0
//
// How a client finds the Workload Endpoint: section 4 of its standard.
#include "cli/rpc.h"

#include <gtest/gtest.h>

namespace writ {
namespace {

Result<std::string> PathFor(const std::string& variable, const std::string& flag = "") {
  Session session;
  session.socket = flag;
  if (!variable.empty()) session.environment["SPIFFE_ENDPOINT_SOCKET"] = variable;
  return WorkloadSocketPath(session);
}

TEST(RpcTest, TheEnvironmentNamesTheWorkloadSocketUnlessAFlagDoes) {
  EXPECT_EQ(PathFor("").value(), kWorkloadSocket);
  EXPECT_EQ(PathFor("unix:///tmp/a.sock").value(), "/tmp/a.sock");
  EXPECT_EQ(PathFor("unix:/tmp/a.sock").value(), "/tmp/a.sock");
  EXPECT_EQ(PathFor("unix:///tmp/a.sock", "/tmp/b.sock").value(), "/tmp/b.sock");
  EXPECT_EQ(PathFor("tcp://127.0.0.1:1", "unix:///tmp/b.sock").value(), "/tmp/b.sock");
}

TEST(RpcTest, AnEndpointThatIsNoUnixPathIsRefused) {
  for (const char* variable :
       {"/tmp/a.sock", "tmp/a.sock", "tcp://127.0.0.1:8000", "unix://host/tmp/a.sock",
        "unix:a.sock", "unix://", "UNIX:///tmp/a.sock", "unix:///tmp/a.sock?x=1",
        "unix:///tmp/a.sock#x"}) {
    EXPECT_EQ(PathFor(variable).code(), Code::kInvalidArgument) << variable;
  }
}

TEST(RpcTest, ADaemonThatDoesNotKnowTheQuestionIsTakenForAnother) {
  Session session;
  session.socket = "/run/writ/agent/admin.sock";
  const grpc::Status unknown(grpc::StatusCode::UNIMPLEMENTED, "");
  const Status told = DescribeFailure(unknown, ServerTarget(session));
  EXPECT_EQ(told.code(), Code::kUnimplemented);
  EXPECT_EQ(told.message(),
            "/run/writ/agent/admin.sock does not answer this question; is it the server's admin "
            "socket (/run/writ/server/admin.sock on its machine)? Name it with --socket");
  EXPECT_NE(DescribeFailure(unknown, AgentTarget(session)).message().find(kAgentAdminSocket),
            std::string::npos);
  const grpc::Status worded(grpc::StatusCode::UNIMPLEMENTED, "unknown service x");
  EXPECT_NE(DescribeFailure(worded, *WorkloadTarget(session)).message().find("unknown service x"),
            std::string::npos);
}

}  // namespace
}  // namespace writ
