// SPDX-License-Identifier: Apache-2.0
#include "agent/workload/near_entries.h"

#include <gtest/gtest.h>

#include "test/fake/fake_clock.h"

namespace writ {
namespace {

Selector Unix(const std::string& value) { return Selector{"unix", value}; }

class NearEntriesTest : public testing::Test {
 protected:
  void Add(const std::string& id, Selectors selectors) {
    entries_.emplace_back(Entry{.id = id,
                                .spiffe_id = *SpiffeId::Parse("spiffe://example.org/" + id),
                                .parent_id = *SpiffeId::Parse("spiffe://example.org/spire/agent/x"),
                                .selectors = std::move(selectors)});
  }
  std::vector<NearEntry> Nearest() { return NearestEntries(entries_, process_, clock_.Now()); }
  std::string WhyNot(const Entry& entry) {
    entries_ = {entry};
    return Why();
  }
  std::string Why() { return Nearest().at(0).why; }
  std::string Remedy() { return Nearest().at(0).remedy; }

  FakeClock clock_;
  std::vector<PackedEntry> entries_;
  Examined process_{.selectors = {Unix("uid:1000"), Unix("path:/usr/bin/python3")},
                    .attestors = {"unix"}};
};

TEST_F(NearEntriesTest, NamesTheFirstSelectorThatIsMissingAndWhatIsThereInstead) {
  Add("e", {Unix("uid:1000"), Unix("path:/bin/x")});
  EXPECT_EQ(Why(),
            "entry e has the selectors unix:path:/bin/x, unix:uid:1000: the process has "
            "unix:uid:1000, not unix:path:/bin/x (it has unix:path:/usr/bin/python3)");
  EXPECT_EQ(Nearest()[0].missing, std::vector<Selector>{Unix("path:/bin/x")});
}

TEST_F(NearEntriesTest, SaysWhenNoAttestorCouldFindIt) {
  Add("e", {Selector{"k8s", "ns:a"}});
  EXPECT_EQ(Why(),
            "entry e has the selectors k8s:ns:a: the process does not have k8s:ns:a (no "
            "attestor k8s runs at this agent)");
  process_.attestors = {"unix", "k8s"};
  process_.failures.push_back({"k8s", Unavailable("the kubelet is away")});
  EXPECT_NE(Why().find("(the attestor k8s failed: the kubelet is away)"), std::string::npos);
}

TEST_F(NearEntriesTest, SaysHowToHaveTheExecutableFound) {
  process_.selectors = {Unix("uid:1000")};
  Add("e", {Unix("path:/bin/x")});
  EXPECT_NE(Why().find("discover_workload_path is on"), std::string::npos) << Why();
}

TEST_F(NearEntriesTest, OrdersByWhatIsMissingThenByWhatIsShared) {
  Add("three", {Unix("uid:1"), Unix("gid:1"), Unix("user:a")});
  Add("one", {Unix("uid:1")});
  Add("one_and_shared", {Unix("uid:1000"), Unix("gid:1")});
  Add("b", {Unix("gid:2")});
  std::vector<std::string> ids;
  for (const NearEntry& near : Nearest()) ids.push_back(near.entry.id);
  EXPECT_EQ(ids, (std::vector<std::string>{"one_and_shared", "b", "one", "three"}));
}

TEST_F(NearEntriesTest, ShowsAFewOnly) {
  for (int i = 0; i < 100; ++i) Add("e" + std::to_string(i), {Unix("gid:" + std::to_string(i))});
  EXPECT_EQ(Nearest().size(), kNearEntriesMax);
}

TEST_F(NearEntriesTest, AnEntryThatMatchesHasAnotherReason) {
  Add("e", {Unix("uid:1000")});
  Entry entry = entries_[0].Unpack();
  entry.expires_at = ToUnixSeconds(clock_.Now()) - 1;
  EXPECT_TRUE(WhyNot(entry).starts_with("entry e matches, but expired at ")) << Why();
  EXPECT_NE(Remedy().find("`writ entry update --id e --expires-at TIME`"), std::string::npos);
  entry.expires_at = 0;
  entry.store_svid = true;
  EXPECT_NE(WhyNot(entry).find("secret store"), std::string::npos) << Why();
  EXPECT_NE(Remedy().find("`writ entry update --id e --store-svid=false`"), std::string::npos);
  entry.store_svid = false;
  entry.hint = "web";
  EXPECT_NE(WhyNot(entry).find("same hint (web)"), std::string::npos) << Why();
  EXPECT_NE(Remedy().find("`writ entry update --id e --hint HINT`"), std::string::npos);
  entry.selectors = {Unix("uid:1")};
  EXPECT_NE(WhyNot(entry).find("not have unix:uid:1"), std::string::npos) << Why();
  EXPECT_EQ(Remedy(), "");
}

}  // namespace
}  // namespace writ
