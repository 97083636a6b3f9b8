// SPDX-License-Identifier: Apache-2.0
#include "server/api/authorization.h"

#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "server/api/api_fixture.h"
#include "spire/api/server/agent/v1/agent.pb.h"
#include "spire/api/server/bundle/v1/bundle.pb.h"
#include "spire/api/server/debug/v1/debug.pb.h"
#include "spire/api/server/entry/v1/entry.pb.h"
#include "spire/api/server/localauthority/v1/localauthority.pb.h"
#include "spire/api/server/logger/v1/logger.pb.h"
#include "spire/api/server/svid/v1/svid.pb.h"
#include "spire/api/server/trustdomain/v1/trustdomain.pb.h"
#include "test/support/golden.h"

namespace writ {
namespace {

std::string Padded(std::string text, size_t width) {
  text.resize(std::max(width, text.size()), ' ');
  return text;
}

class AuthorizationTest : public ApiFixture {
 protected:
  std::string Letter(const MethodRow& row, const ApiCaller& caller) {
    Status status = authorization_->Check(row, caller);
    if (status.ok()) return "yes";
    EXPECT_EQ(status.code(), Code::kPermissionDenied) << status.ToString();
    return status.reason() == 0 ? "-" : "-" + std::to_string(status.reason());
  }
};

// Each method of SPIRE's server API, read from its descriptors, is a row, and nothing else is.
TEST_F(AuthorizationTest, CoversEveryMethodOfSpiresServerApi) {
  const google::protobuf::FileDescriptor* files[] = {
      spire::api::server::agent::v1::CountAgentsRequest::descriptor()->file(),
      spire::api::server::bundle::v1::GetBundleRequest::descriptor()->file(),
      spire::api::server::debug::v1::GetInfoRequest::descriptor()->file(),
      spire::api::server::entry::v1::GetEntryRequest::descriptor()->file(),
      spire::api::server::localauthority::v1::PrepareJWTAuthorityRequest::descriptor()->file(),
      spire::api::server::logger::v1::GetLoggerRequest::descriptor()->file(),
      spire::api::server::svid::v1::MintX509SVIDRequest::descriptor()->file(),
      spire::api::server::trustdomain::v1::RefreshBundleRequest::descriptor()->file()};
  std::set<std::string> expected;
  for (const auto* file : files) {
    const google::protobuf::ServiceDescriptor* service = file->service(0);
    for (int i = 0; i < service->method_count(); ++i) {
      expected.insert("/" + service->full_name() + "/" + service->method(i)->name());
    }
  }
  std::set<std::string> rows;
  for (const MethodRow& row : AllMethods()) {
    EXPECT_TRUE(rows.insert(row.full_name).second) << row.full_name << " stands there twice";
  }
  for (const std::string& name : expected) EXPECT_TRUE(rows.contains(name)) << name;
  for (const std::string& name : rows) {
    bool spires = name.starts_with("/spire.");
    EXPECT_EQ(spires, expected.contains(name)) << name;
  }
}

// The whole table, for every kind of caller: "-" is denied, "-N" denied with that reason.
TEST_F(AuthorizationTest, TableIsAsWritten) {
  AddEntry("/admin", [](Entry& entry) { entry.admin = true; });
  AddEntry("/downstream", [](Entry& entry) { entry.downstream = true; });
  AddEntry("/expired-admin", [this](Entry& entry) {
    entry.admin = true;
    entry.expires_at = ToUnixSeconds(clock_.Now()) - 1;
  });
  AddAgent("/spire/agent/join_token/active");
  AddAgent("/spire/agent/join_token/banned", [](Agent& agent) {
    agent.banned = true;
    agent.serial.clear();
  });
  AddAgent("/spire/agent/join_token/replaced", [](Agent& agent) { agent.serial = "77"; });
  ApiCaller late_agent = TlsCaller("/spire/agent/join_token/active", -std::chrono::seconds(1));
  ApiCaller late_admin = TlsCaller("/admin", -std::chrono::seconds(1));

  std::vector<std::pair<std::string, ApiCaller>> callers = {
      {"none", ApiCaller{.actor = "anonymous"}},
      {"workload", TlsCaller("/web")},
      {"local", LocalCaller()},
      {"admin", TlsCaller("/admin")},
      {"admin_entry_expired", TlsCaller("/expired-admin")},
      {"admin_svid_expired", late_admin},
      {"downstream", TlsCaller("/downstream")},
      {"agent", TlsCaller("/spire/agent/join_token/active")},
      {"agent_svid_expired", late_agent},
      {"agent_unknown", TlsCaller("/spire/agent/join_token/unknown")},
      {"agent_not_active", TlsCaller("/spire/agent/join_token/replaced")},
      {"agent_banned", TlsCaller("/spire/agent/join_token/banned")},
  };
  std::string text;
  for (const MethodRow& row : AllMethods()) {
    std::string line;
    for (const auto& [name, caller] : callers) {
      line += Padded(name + ":" + Letter(row, caller), name.size() + 5);
    }
    text += line + row.full_name + (row.admin_socket_only ? " (not on TCP)" : "") + "\n";
  }
  ExpectGolden("test/golden/authorization.txt", text);
}

TEST_F(AuthorizationTest, ConfiguredAdminNeedsNoEntry) {
  Authorization authorization(registry_.get(), gate_.get(), &clock_, {Id("/ops")});
  const MethodRow& row = *FindMethod("/spire.api.server.entry.v1.Entry/ListEntries");
  EXPECT_TRUE(authorization.Check(row, TlsCaller("/ops")).ok());
  EXPECT_EQ(authorization.Check(row, TlsCaller("/other")).code(), Code::kPermissionDenied);
}

TEST_F(AuthorizationTest, DenialNamesTheMethodAndTheReason) {
  const MethodRow& row = *FindMethod("/spire.api.server.agent.v1.Agent/RenewAgent");
  Status status = authorization_->Check(row, TlsCaller("/spire/agent/join_token/x"));
  EXPECT_EQ(status.message(),
            "authorization denied for method /spire.api.server.agent.v1.Agent/RenewAgent: agent "
            "\"spiffe://example.org/spire/agent/join_token/x\" is not attested");
  EXPECT_EQ(status.reason(), static_cast<int>(AgentDenial::kNotAttested));
}

TEST_F(AuthorizationTest, FirstUseOfARenewedSvidRetiresTheOldOne) {
  ApiCaller before = TlsCaller("/spire/agent/join_token/a");
  ApiCaller after = TlsCaller("/spire/agent/join_token/a");
  AddAgent("/spire/agent/join_token/a", [&](Agent& agent) {
    agent.serial = before.leaf->serial().ToDecimal();
    agent.pending_serial = after.leaf->serial().ToDecimal();
    agent.pending_not_after = 12345;
  });
  const MethodRow& row = *FindMethod("/spire.api.server.agent.v1.Agent/PostStatus");
  EXPECT_TRUE(authorization_->Check(row, before).ok());
  EXPECT_TRUE(authorization_->Check(row, after).ok());
  EXPECT_EQ(authorization_->Check(row, before).reason(), static_cast<int>(AgentDenial::kNotActive));
  EXPECT_TRUE(authorization_->Check(row, after).ok());
  EXPECT_EQ(registry_->GetAgent(before.id->text())->not_after, 12345);
  EXPECT_EQ(registry_->GetAgent(before.id->text())->pending_serial, "");
}

TEST_F(AuthorizationTest, PromotionThatCannotBeStoredDeniesWithoutAReasonToReattest) {
  ApiCaller after = TlsCaller("/spire/agent/join_token/a");
  AddAgent("/spire/agent/join_token/a", [&](Agent& agent) {
    agent.serial = "1";
    agent.pending_serial = after.leaf->serial().ToDecimal();
  });
  store_.FailWrites(Unavailable("the disk is full"));
  Status status =
      authorization_->Check(*FindMethod("/spire.api.server.agent.v1.Agent/PostStatus"), after);
  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_EQ(status.reason(), 0);
}

}  // namespace
}  // namespace writ
