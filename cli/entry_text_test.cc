// SPDX-License-Identifier: Apache-2.0
#include "cli/entry_text.h"

#include <gtest/gtest.h>

namespace writ {
namespace {

TEST(EntryTextTest, ReadsManyEntriesOfAYamlFile) {
  auto entries = EntriesFromFile(
      "entries:\n"
      "  - spiffe_id: spiffe://example.org/web\n"
      "    parent_id: spiffe://example.org/node\n"
      "    selectors: [\"unix:uid:1000\", \"unix:gid:5\"]\n"
      "    x509_svid_ttl: 1h\n"
      "    expires_at: 2027-01-31T12:00:00Z\n"
      "  - {spiffe_id: \"spiffe://example.org/db\", admin: true, dns_names: [b.test, a.test]}\n",
      "f");
  ASSERT_TRUE(entries.ok()) << entries.status().ToString();
  ASSERT_EQ(entries->size(), 2u);
  EXPECT_EQ((*entries)[0].spiffe_id().path(), "/web");
  EXPECT_EQ((*entries)[0].selectors(1).value(), "gid:5");
  EXPECT_EQ((*entries)[0].x509_svid_ttl(), 3600);
  EXPECT_EQ((*entries)[0].expires_at(), 1801396800);
  EXPECT_TRUE((*entries)[1].admin());
  EXPECT_EQ((*entries)[1].dns_names(0), "b.test");
}

TEST(EntryTextTest, ReadsSpiresJsonFile) {
  auto entries = EntriesFromFile(
      R"({"entries": [{"selectors": [{"type": "unix", "value": "uid:1111"}],
          "spiffe_id": "spiffe://example.org/Blog", "parent_id": "spiffe://example.org/node",
          "x509_svid_ttl": 200, "admin": true}]})",
      "f");
  ASSERT_TRUE(entries.ok()) << entries.status().ToString();
  EXPECT_EQ((*entries)[0].selectors(0).type(), "unix");
  EXPECT_EQ((*entries)[0].x509_svid_ttl(), 200);
}

TEST(EntryTextTest, NamesThePlaceOfAMistake) {
  auto said = [](std::string_view text) { return EntriesFromFile(text, "f").status().message(); };
  EXPECT_TRUE(said("- spiffe_id: x\n").starts_with("f:1:14: spiffe_id: "))
      << said("- spiffe_id: x");
  EXPECT_TRUE(said("- parnt_id: x\n").starts_with("f:1:3: unknown field 'parnt_id'"));
  EXPECT_TRUE(said("- admin: maybe\n").starts_with("f:1:10: admin: expected true or false"));
  EXPECT_TRUE(said("- selectors: unix\n").starts_with("f:1:14: selectors: expected a list"));
  EXPECT_TRUE(said("- text\n").starts_with("f:1:3: an entry is a map"));
  EXPECT_EQ(said("entries: []\n"), "f holds no entry");
}

TEST(EntryTextTest, LifetimesAreDurationsOrSeconds) {
  EXPECT_EQ(*TtlSeconds("90"), 90);
  EXPECT_EQ(*TtlSeconds("1h30m"), 5400);
  for (std::string_view bad : {"", "-5", "-5s", "1d", "99999999999", "soon"}) {
    EXPECT_FALSE(TtlSeconds(bad).ok()) << bad;
  }
}

TEST(EntryTextTest, JsonHoldsEveryField) {
  spire::api::types::Entry entry;
  entry.set_id("e1");
  *entry.mutable_spiffe_id() = *IdMessage("spiffe://example.org/web");
  *entry.mutable_parent_id() = *IdMessage("spiffe://example.org/node");
  *entry.add_selectors() = *SelectorMessage("unix:uid:1");
  EXPECT_EQ(EntryJson(entry).Dump(),
            R"({"id":"e1","spiffe_id":"spiffe://example.org/web",)"
            R"("parent_id":"spiffe://example.org/node","selectors":["unix:uid:1"],)"
            R"("x509_svid_ttl":0,"jwt_svid_ttl":0,"federates_with":[],"dns_names":[],)"
            R"("admin":false,"downstream":false,"store_svid":false,"hint":"","expires_at":0,)"
            R"("revision_number":0,"created_at":0})");
}

}  // namespace
}  // namespace writ
