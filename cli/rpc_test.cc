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

}  // namespace
}  // namespace writ
