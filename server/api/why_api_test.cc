// SPDX-License-Identifier: Apache-2.0
#include "server/api/why_api.h"

#include "server/api/api_fixture.h"

namespace writ {
namespace {

class WhyApiTest : public ApiFixture {
 protected:
  v1::ExplainIdentityResponse Ask(const std::string& path) {
    return Take(Explain(Id(path).text()));
  }
  v1::IdentityEntry OnlyEntry(const std::string& path) {
    v1::ExplainIdentityResponse response = Ask(path);
    EXPECT_EQ(response.entries_size(), 1);
    return response.entries_size() == 1 ? response.entries(0) : v1::IdentityEntry();
  }
  static std::string Obstacles(const v1::IdentityEntry& entry) {
    std::string text;
    for (const std::string& obstacle : entry.obstacles()) text += obstacle + "\n";
    return text;
  }

  Result<v1::ExplainIdentityResponse> Explain(const std::string& spiffe_id) {
    Call call = AsLocal();
    v1::ExplainIdentityRequest request;
    request.set_spiffe_id(spiffe_id);
    return WhyApi(td_, registry_.get(), &clock_).ExplainIdentity(call, request);
  }
};

TEST_F(WhyApiTest, AnEntryBelowALivingAgentHasNoObstacle) {
  AddAgent(kAgentPath);
  const std::string id = AddEntry("/web");
  const v1::IdentityEntry entry = OnlyEntry("/web");
  EXPECT_EQ(entry.entry_id(), id);
  EXPECT_EQ(entry.selectors(0), "unix:uid:0");
  ASSERT_EQ(entry.agents_size(), 1);
  EXPECT_EQ(entry.agents(0).spiffe_id(), Id(kAgentPath).text());
  EXPECT_EQ(Obstacles(entry), "");
}

TEST_F(WhyApiTest, ParentsThatLeadRoundAreAnObstacle) {
  AddEntry("/a", [&](Entry& entry) { entry.parent_id = Id("/b"); });
  AddEntry("/b", [&](Entry& entry) { entry.parent_id = Id("/a"); });
  EXPECT_NE(Obstacles(OnlyEntry("/a")).find("in a circle"), std::string::npos);
}

TEST_F(WhyApiTest, SaysThatNoEntryGivesItOut) {
  const v1::ExplainIdentityResponse response = Ask("/nobody");
  EXPECT_TRUE(response.entries().empty());
  EXPECT_NE(response.advice(0).find("No entry gives it out"), std::string::npos);
}

TEST_F(WhyApiTest, IdsThatNoEntryCanGiveOutAreToldAsSuch) {
  const std::pair<const char*, const char*> cases[] = {
      {"spiffe://example.org/spire/server", "this server's own"},
      {"spiffe://example.org/spire/agent/join_token/x", "no agent of this ID is attested"},
      {"spiffe://example.org/spire", "choose another path"},
      {"spiffe://example.org/spire/other", "choose another path"},
      {"spiffe://example.org", "IDs with a path"}};
  for (const auto& [id, words] : cases) {
    const v1::ExplainIdentityResponse response = Take(Explain(id));
    ASSERT_EQ(response.advice_size(), 1) << id;
    EXPECT_NE(response.advice(0).find(words), std::string::npos) << response.advice(0);
    EXPECT_EQ(response.advice(0).find("writ entry create"), std::string::npos) << id;
  }
}

TEST_F(WhyApiTest, AJoinTokensAliasIsNoWorkloadsAndNamesItsAgent) {
  AddEntry("/node", [&](Entry& entry) {
    entry.parent_id = Id(kAgentPath);
    entry.selectors = {{"spiffe_id", Id(kAgentPath).text()}};
  });
  const v1::ExplainIdentityResponse unused = Ask("/node");
  EXPECT_TRUE(unused.entries(0).node_alias());
  EXPECT_TRUE(unused.entries(0).agents().empty());
  ASSERT_EQ(unused.advice_size(), 1);
  EXPECT_NE(unused.advice(0).find("its join token is not used yet"), std::string::npos);

  AddAgent(kAgentPath);
  const v1::ExplainIdentityResponse used = Ask("/node");
  ASSERT_EQ(used.entries(0).agents_size(), 1);
  EXPECT_EQ(used.entries(0).agents(0).spiffe_id(), Id(kAgentPath).text());
  EXPECT_NE(Obstacles(used.entries(0)).find("given to no workload"), std::string::npos);
  ASSERT_EQ(used.advice_size(), 1);
  EXPECT_NE(used.advice(0).find("--parent-id spiffe://example.org/node"), std::string::npos);

  // An entry below it is an ordinary one.
  AddEntry("/web", [&](Entry& entry) { entry.parent_id = Id("/node"); });
  EXPECT_FALSE(OnlyEntry("/web").node_alias());
  EXPECT_EQ(Obstacles(OnlyEntry("/web")), "");
}

TEST_F(WhyApiTest, SaysWhatIsWrongWithTheAgent) {
  AddEntry("/web");
  EXPECT_EQ(Obstacles(OnlyEntry("/web")),
            "no agent spiffe://example.org/spire/agent/join_token/node is attested: its join token "
            "is not used yet, or the agent was evicted\n");
  AddAgent(kAgentPath);
  clock_.Advance(std::chrono::hours(2));
  EXPECT_NE(Obstacles(OnlyEntry("/web")).find("has let its SVID end at"), std::string::npos);
  EXPECT_TRUE(OnlyEntry("/web").agents(0).expired());
  ASSERT_TRUE(store_.agents()
                  .Edit(Id(kAgentPath).text(),
                        [](Agent& agent) {
                          agent.banned = true;
                          return OkStatus();
                        })
                  .ok());
  EXPECT_NE(Obstacles(OnlyEntry("/web")).find("is banned"), std::string::npos);
  EXPECT_TRUE(Ask(kAgentPath).as_agent().banned());
  const std::string evict = "`writ agent evict --spiffe-id " + Id(kAgentPath).text() + "`";
  EXPECT_NE(Ask(kAgentPath).advice(0).find(evict), std::string::npos);
  EXPECT_NE(Ask("/web").advice(0).find(evict), std::string::npos);
}

TEST_F(WhyApiTest, SaysWhatIsWrongWithTheEntry) {
  AddAgent(kAgentPath);
  AddEntry("/old", [&](Entry& entry) { entry.expires_at = ToUnixSeconds(clock_.Now()) - 1; });
  EXPECT_NE(Obstacles(OnlyEntry("/old")).find("it expired at"), std::string::npos);
  AddEntry("/stored", [](Entry& entry) { entry.store_svid = true; });
  EXPECT_NE(Obstacles(OnlyEntry("/stored")).find("secret store"), std::string::npos);
}

TEST_F(WhyApiTest, TheAdviceIsTheDeedThatMends) {
  auto advice = [&](const std::string& path) {
    const v1::ExplainIdentityResponse response = Ask(path);
    EXPECT_EQ(response.advice_size(), 1) << path;
    return response.advice_size() == 1 ? response.advice(0) : "";
  };
  const std::string orphan = AddEntry("/orphan");
  EXPECT_NE(advice("/orphan").find("`writ token create --spiffe-id ALIAS`"), std::string::npos);
  EXPECT_NE(advice("/orphan").find("`writ entry update --id " + orphan + " --parent-id ALIAS`"),
            std::string::npos);
  AddEntry("/node", [&](Entry& entry) {
    entry.parent_id = Id(kAgentPath);
    entry.selectors = {{"spiffe_id", Id(kAgentPath).text()}};
  });
  AddEntry("/below", [&](Entry& entry) { entry.parent_id = Id("/node"); });
  EXPECT_TRUE(advice("/below").ends_with(
      "make another: `writ token create --spiffe-id spiffe://example.org/node`."))
      << advice("/below");
  const std::string lost = AddEntry("/lost", [&](Entry& entry) { entry.parent_id = Id("/typo"); });
  EXPECT_NE(advice("/lost").find("`writ entry update --id " + lost + " --parent-id PARENT`"),
            std::string::npos);

  AddAgent(kAgentPath);
  const std::string old = AddEntry(
      "/old", [&](Entry& entry) { entry.expires_at = ToUnixSeconds(clock_.Now()) - 1; });
  EXPECT_TRUE(advice("/old").ends_with("`writ entry update --id " + old +
                                       " --expires-at TIME` (0: none)."))
      << advice("/old");
  AddEntry("/under", [&](Entry& entry) { entry.parent_id = Id("/old"); });
  EXPECT_NE(advice("/under").find("`writ entry update --id " + old + " --expires-at TIME`"),
            std::string::npos);
  const std::string stored = AddEntry("/stored", [](Entry& entry) { entry.store_svid = true; });
  EXPECT_NE(advice("/stored").find("`writ entry update --id " + stored + " --store-svid=false`"),
            std::string::npos);
}

TEST_F(WhyApiTest, FollowsParentsThroughEntriesAndAliases) {
  AddAgent(kAgentPath, [](Agent& agent) { agent.selectors = {{"x", "rack:1"}}; });
  AddAgent("/spire/agent/join_token/other");
  AddEntry("/rack", [&](Entry& entry) {
    entry.parent_id = ServerId(td_);
    entry.selectors = {{"x", "rack:1"}};
  });
  AddEntry("/group", [&](Entry& entry) { entry.parent_id = Id("/rack"); });
  AddEntry("/web", [&](Entry& entry) { entry.parent_id = Id("/group"); });
  const v1::IdentityEntry entry = OnlyEntry("/web");
  ASSERT_EQ(entry.agents_size(), 1);
  EXPECT_EQ(entry.agents(0).spiffe_id(), Id(kAgentPath).text());
  EXPECT_EQ(Obstacles(entry), "");
  const v1::IdentityEntry rack = OnlyEntry("/rack");
  EXPECT_NE(Obstacles(rack).find("node alias"), std::string::npos);
  ASSERT_EQ(rack.agents_size(), 1);
  EXPECT_EQ(rack.agents(0).spiffe_id(), Id(kAgentPath).text());
}

TEST_F(WhyApiTest, NamesAParentThatLeadsNowhereAndEndsInCircles) {
  AddEntry("/web", [&](Entry& entry) { entry.parent_id = Id("/typo"); });
  EXPECT_NE(Obstacles(OnlyEntry("/web")).find("neither an agent's ID nor given out by an entry"),
            std::string::npos);
  AddEntry("/a", [&](Entry& entry) { entry.parent_id = Id("/b"); });
  AddEntry("/b", [&](Entry& entry) { entry.parent_id = Id("/a"); });
  EXPECT_EQ(OnlyEntry("/a").agents_size(), 0);
}

TEST_F(WhyApiTest, AnswersAreBounded) {
  for (size_t i = 0; i < kWhyAgentsMax + 5; ++i) {
    AddAgent("/spire/agent/join_token/n" + std::to_string(i),
             [](Agent& agent) { agent.selectors = {{"x", "rack:1"}}; });
  }
  AddEntry("/rack", [&](Entry& entry) {
    entry.parent_id = ServerId(td_);
    entry.selectors = {{"x", "rack:1"}};
  });
  for (size_t i = 0; i < kWhyEntriesMax + 5; ++i) {
    AddEntry("/web", [&](Entry& entry) {
      entry.parent_id = Id("/rack");
      entry.selectors = {{"unix", "uid:" + std::to_string(i)}};
    });
  }
  const v1::ExplainIdentityResponse response = Ask("/web");
  EXPECT_EQ(static_cast<size_t>(response.entries_size()), kWhyEntriesMax);
  EXPECT_TRUE(response.more_entries());
  EXPECT_EQ(static_cast<size_t>(response.entries(0).agents_size()), kWhyAgentsMax);
  EXPECT_TRUE(response.entries(0).more_agents());
}

TEST_F(WhyApiTest, RefusesOtherTrustDomainsAndWhatIsNoId) {
  for (const char* id : {"", "web", "spiffe://other.org/web"}) {
    EXPECT_EQ(Explain(id).code(), Code::kInvalidArgument) << id;
  }
}

}  // namespace
}  // namespace writ
