// SPDX-License-Identifier: Apache-2.0
#include "cli/entry_text.h"

#include <gtest/gtest.h>

#include <sstream>

namespace writ {
namespace {

using WireEntry = spire::api::types::Entry;

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

// Every member that SPIRE's registration files may have, by its name and in its form.
TEST(EntryTextTest, ReadsSpiresJsonFile) {
  auto entries = EntriesFromFile(
      R"({"entries": [
           {"selectors": [{"type": "unix", "value": "uid:7"}, {"type": "unix", "value": "gid:8"}],
            "spiffe_id": "spiffe://example.org/press",
            "parent_id": "spiffe://example.org/spire/agent/join_token/abc",
            "x509_svid_ttl": 200, "jwt_svid_ttl": 30, "admin": true, "downstream": true,
            "hint": "internal", "entry_id": "press-1", "entryExpiry": 1801396800,
            "dns_names": ["press.test", "print.test"], "federates_with": ["other.org"],
            "revision_number": 3, "created_at": 1700000000,
	    "additional_attributes": {"disable_x509_svid_prefetch": true}},
           {"selectors": [{"type": "vault", "value": "path:a"}],
            "spiffe_id": "spiffe://example.org/stored", "parent_id": "spiffe://example.org/node",
            "store_svid": true, "additional_attributes": {"jwt_svid_include_jti": true}}]})",
      "f");
  ASSERT_TRUE(entries.ok()) << entries.status().ToString();
  ASSERT_EQ(entries->size(), 2u);
  WireEntry press;
  press.set_id("press-1");
  *press.mutable_spiffe_id() = *IdMessage("spiffe://example.org/press");
  *press.mutable_parent_id() = *IdMessage("spiffe://example.org/spire/agent/join_token/abc");
  *press.add_selectors() = *SelectorMessage("unix:uid:7");
  *press.add_selectors() = *SelectorMessage("unix:gid:8");
  press.set_x509_svid_ttl(200);
  press.set_jwt_svid_ttl(30);
  press.set_admin(true);
  press.set_downstream(true);
  press.set_hint("internal");
  press.set_expires_at(1801396800);
  press.add_dns_names("press.test");
  press.add_dns_names("print.test");
  press.add_federates_with("other.org");
  press.mutable_additional_attributes()->set_disable_x509_svid_prefetch(true);
  EXPECT_EQ((*entries)[0].SerializeAsString(), press.SerializeAsString());
  EXPECT_TRUE((*entries)[1].store_svid());
  EXPECT_FALSE((*entries)[1].additional_attributes().disable_x509_svid_prefetch());
  EXPECT_TRUE((*entries)[1].additional_attributes().jwt_svid_include_jti());
}

// What `spire-server entry show -output json` prints: messages with all their members.
TEST(EntryTextTest, ReadsWhatSpireShows) {
  auto entries = EntriesFromFile(
      R"({"entries": [{"id": "e1",
            "spiffe_id": {"trust_domain": "example.org", "path": "/web"},
            "parent_id": {"trust_domain": "example.org", "path": "/spire/server"},
            "selectors": [{"type": "unix", "value": "uid:7"}], "x509_svid_ttl": 3600,
            "federates_with": [], "admin": false, "downstream": false, "expires_at": "1801396800",
            "dns_names": [], "revision_number": "2", "store_svid": false, "jwt_svid_ttl": 0,
            "hint": "", "created_at": "1700000000", "additional_attributes": null}],
          "next_page_token": ""})",
      "f");
  ASSERT_TRUE(entries.ok()) << entries.status().ToString();
  WireEntry web;
  web.set_id("e1");
  *web.mutable_spiffe_id() = *IdMessage("spiffe://example.org/web");
  *web.mutable_parent_id() = *IdMessage("spiffe://example.org/spire/server");
  *web.add_selectors() = *SelectorMessage("unix:uid:7");
  web.set_x509_svid_ttl(3600);
  web.set_expires_at(1801396800);
  ASSERT_EQ(entries->size(), 1u);
  EXPECT_EQ((*entries)[0].SerializeAsString(), web.SerializeAsString());
}

// JSON's null is a member that is not set; YAML's empty value is a mistake.
TEST(EntryTextTest, NullIsUnsetInJsonAlone) {
  auto entries = EntriesFromFile(
      R"([{"hint": "null", "dns_names": null, "admin": null, "federates_with": [null]}])", "f");
  EXPECT_EQ(entries.status().message(), "f:1:71: federates_with: expected text, found nothing");
  entries = EntriesFromFile(R"([{"hint": "null", "dns_names": null, "admin": null}])", "f");
  ASSERT_TRUE(entries.ok()) << entries.status().ToString();
  EXPECT_EQ((*entries)[0].hint(), "null");
  EXPECT_EQ(EntriesFromFile("- dns_names:\n", "f").status().message(),
            "f:1:3: dns_names: expected a list, found nothing");
}

TEST(EntryTextTest, NamesThePlaceOfAMistake) {
  auto said = [](std::string_view text) { return EntriesFromFile(text, "f").status().message(); };
  EXPECT_TRUE(said("- spiffe_id: x\n").starts_with("f:1:14: spiffe_id: "))
      << said("- spiffe_id: x");
  EXPECT_TRUE(said("- parnt_id: x\n").starts_with("f:1:3: unknown field 'parnt_id'"));
  EXPECT_TRUE(said("- admin: maybe\n").starts_with("f:1:10: admin: expected true or false"));
  EXPECT_TRUE(said("- selectors: unix\n").starts_with("f:1:14: selectors: expected a list"));
  EXPECT_TRUE(said("- text\n").starts_with("f:1:3: an entry is a map"));
  EXPECT_EQ(said("- additional_attributes: {jti: true}\n"),
            "f:1:27: unknown field 'jti'; known are disable_x509_svid_prefetch, "
            "jwt_svid_include_jti");
  EXPECT_TRUE(said("- additional_attributes: true\n")
                  .starts_with("f:1:26: additional_attributes is a map of its fields, not text"));
  EXPECT_EQ(said("- spiffe_id: {path: /a}\n"),
            "f:1:14: spiffe_id: a SPIFFE ID is text, or has the members trust_domain and path");
  EXPECT_EQ(said("entries: []\n"), "f holds no entry");
}

// Python's json.dumps and others write such characters as pairs of surrogates.
TEST(EntryTextTest, ReadsJsonsSurrogatePairs) {
  auto hint = [](const std::string& text) {
    auto entries = EntriesFromFile(R"( [{"hint": ")" + text + R"(", "admin": true}])", "f");
    if (!entries.ok()) return entries.status().ToString();
    return entries->front().hint();
  };
  EXPECT_EQ(hint(R"(a \ud83d\ude00 \uD83D\uDE00 b)"), "a \xf0\x9f\x98\x80 \xf0\x9f\x98\x80 b");
  EXPECT_EQ(hint(R"(\udbff\udfff\u00e9)"), "\xf4\x8f\xbf\xbf\xc3\xa9");
  EXPECT_EQ(hint(R"(\\ud83d\\ude00)"), R"(\ud83d\ude00)");
  EXPECT_EQ(hint(R"(\\\ud83d\ude00)"), "\\\xf0\x9f\x98\x80");
  EXPECT_NE(hint(R"(\ud83d)").find("f:1:19: not valid YAML"), std::string::npos)
      << hint(R"(\ud83d)");
  EXPECT_NE(hint(R"(\ude00\ud83d)").find("not valid YAML"), std::string::npos);
  // The same letters in YAML are what they seem.
  EXPECT_EQ(EntriesFromFile(R"({hint: '\ud83d\ude00'})", "f")->front().hint(),
            R"(\ud83d\ude00)");
  EXPECT_TRUE(EntriesFromFile("{\"hint\": \"\\ud83d\\ude00\",\n  \"admin\": 7}", "f")
                  .status()
                  .message()
                  .starts_with("f:2:12: admin: expected true or false"));
}

TEST(EntryTextTest, TwoNamesOfOneFieldAreRefused) {
  auto said = [](std::string_view text) { return EntriesFromFile(text, "f").status().message(); };
  EXPECT_EQ(said("expires_at: 1\nentryExpiry: 2\n"),
            "f:2:1: 'entryExpiry' and 'expires_at' (line 1) are two names of one field; remove one "
            "of the two");
  EXPECT_EQ(said(R"([{"entry_id": "a", "id": "a"}])"),
            "f:1:20: 'id' and 'entry_id' (line 1) are two names of one field; remove one of the "
            "two");
  EXPECT_EQ(said("[{id: a}, {entry_id: b}]"), "");
}

TEST(EntryTextTest, LifetimesAreDurationsOrSeconds) {
  EXPECT_EQ(*TtlSeconds("90"), 90);
  EXPECT_EQ(*TtlSeconds("1h30m"), 5400);
  for (std::string_view bad : {"", "-5", "-5s", "1d", "99999999999", "soon"}) {
    EXPECT_FALSE(TtlSeconds(bad).ok()) << bad;
  }
}

TEST(EntryTextTest, JsonHoldsEveryField) {
  WireEntry entry;
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

// All that the message knows, so that a new field of it fails here.
WireEntry FullEntry() {
  WireEntry entry;
  entry.set_id("e1");
  *entry.mutable_spiffe_id() = *IdMessage("spiffe://example.org/web");
  *entry.mutable_parent_id() = *IdMessage("spiffe://example.org/node");
  *entry.add_selectors() = *SelectorMessage("unix:uid:1");
  *entry.add_selectors() = *SelectorMessage("unix:path:/opt/a \"b\": c");
  entry.set_x509_svid_ttl(3600);
  entry.set_jwt_svid_ttl(300);
  entry.add_federates_with("other.org");
  entry.set_admin(true);
  entry.set_downstream(true);
  entry.set_expires_at(1801396800);
  entry.add_dns_names("b.test");
  entry.add_dns_names("a.test");
  entry.set_store_svid(true);
  entry.set_hint("say \"true\": {no} # more\n");
  entry.mutable_additional_attributes()->set_disable_x509_svid_prefetch(true);
  entry.mutable_additional_attributes()->set_jwt_svid_include_jti(true);
  return entry;
}

TEST(EntryTextTest, WhatIsPrintedAsJsonIsReadBackWhole) {
  WireEntry printed = FullEntry();
  printed.set_revision_number(4);
  printed.set_created_at(1700000000);
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  printed.GetReflection()->ListFields(printed, &fields);
  ASSERT_EQ(static_cast<int>(fields.size()), WireEntry::descriptor()->field_count());
  const auto& attributes = printed.additional_attributes();
  attributes.GetReflection()->ListFields(attributes, &fields);
  ASSERT_EQ(static_cast<int>(fields.size()), attributes.descriptor()->field_count());

  const Json file = Json::MakeObject().Set("entries", Json::MakeArray().Add(EntryJson(printed)));
  for (bool pretty : {false, true}) {
    auto read = EntriesFromFile(file.Dump(pretty), "f");
    ASSERT_TRUE(read.ok()) << read.status().ToString();
    // Revision and time of creation are the server's to say.
    EXPECT_EQ((*read)[0].SerializeAsString(), FullEntry().SerializeAsString());
  }
  WireEntry plain;
  *plain.mutable_spiffe_id() = *IdMessage("spiffe://example.org/web");
  *plain.mutable_parent_id() = *IdMessage("spiffe://example.org/node");
  EXPECT_EQ((*EntriesFromFile(EntryJson(plain).Dump(), "f"))[0].SerializeAsString(),
            plain.SerializeAsString());
}

TEST(EntryTextTest, TextNamesEveryFlagThatIsSet) {
  std::ostringstream out;
  PrintEntry(out, FullEntry(), FromUnixSeconds(1801396800));
  EXPECT_NE(out.str().find("admin, downstream, store_svid, disable_x509_svid_prefetch, "
                           "jwt_svid_include_jti\n"),
            std::string::npos)
      << out.str();
  EXPECT_NE(out.str().find("other.org"), std::string::npos) << out.str();
}

}  // namespace
}  // namespace writ
