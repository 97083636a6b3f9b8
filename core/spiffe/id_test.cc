// SPDX-License-Identifier: Apache-2.0
#include "core/spiffe/id.h"

#include <gtest/gtest.h>

namespace writ {
namespace {

bool Accepts(std::string_view id) { return SpiffeId::Parse(id).ok(); }
std::string Refusal(std::string_view id) {
  Result<SpiffeId> result = SpiffeId::Parse(id);
  if (result.ok()) return "accepted";
  EXPECT_EQ(result.code(), Code::kInvalidArgument);
  return result.status().message();
}
bool Says(std::string_view id, std::string_view words) {
  return Refusal(id).find(words) != std::string::npos;
}

TrustDomain Td(std::string_view name) { return TrustDomain::Parse(name).value(); }

TEST(SpiffeIdTest, SplitsTrustDomainAndPath) {
  SpiffeId id = SpiffeId::Parse("spiffe://example.org/ns/prod/sa/web").value();
  EXPECT_EQ(id.text(), "spiffe://example.org/ns/prod/sa/web");
  EXPECT_EQ(id.trust_domain_name(), "example.org");
  EXPECT_EQ(id.path(), "/ns/prod/sa/web");
  EXPECT_TRUE(id.MemberOf(Td("example.org")));
  EXPECT_FALSE(id.MemberOf(Td("example.com")));
}

TEST(SpiffeIdTest, AcceptsAnIdWithoutPath) {
  SpiffeId id = SpiffeId::Parse("spiffe://example.org").value();
  EXPECT_EQ(id.path(), "");
  EXPECT_EQ(id.trust_domain(), Td("example.org"));
}

TEST(SpiffeIdTest, AcceptsExactlyTheListedCharactersInTrustDomainAndPath) {
  const std::string trust_domain_set = "abcdefghijklmnopqrstuvwxyz0123456789.-_";
  const std::string path_set = trust_domain_set + "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  for (int c = 0; c < 256; ++c) {
    if (c == '/') continue;
    std::string one(1, static_cast<char>(c));
    EXPECT_EQ(Accepts("spiffe://td" + one + "/path"), trust_domain_set.find(one) != one.npos) << c;
    EXPECT_EQ(Accepts("spiffe://td/path" + one), path_set.find(one) != one.npos) << c;
  }
}

TEST(SpiffeIdTest, RejectsEveryOtherScheme) {
  for (std::string id : {"", "s", "spiffe:/", "spiffe:/td/path", "http://td/path", "td/path",
                         "//td/path", " spiffe://td/path"}) {
    EXPECT_FALSE(Accepts(id)) << id;
  }
  EXPECT_TRUE(Says("http://td/path", "does not begin with \"spiffe://\""));
}

TEST(SpiffeIdTest, RejectsUppercaseScheme) {
  EXPECT_FALSE(Accepts("SPIFFE://td/path"));
  EXPECT_FALSE(Accepts("Spiffe://td/path"));
}

TEST(SpiffeIdTest, RejectsUppercaseTrustDomain) {
  EXPECT_FALSE(Accepts("spiffe://Example.org/path"));
  EXPECT_TRUE(Says("spiffe://exaMple.org/path", "\"M\" at offset 3"));
}

TEST(SpiffeIdTest, RejectsAMissingTrustDomain) {
  EXPECT_TRUE(Says("spiffe://", "trust domain is missing"));
  EXPECT_TRUE(Says("spiffe:///", "trust domain is missing"));
  EXPECT_TRUE(Says("spiffe:///path", "trust domain is missing"));
}

TEST(SpiffeIdTest, RejectsUserInfoAndPort) {
  EXPECT_FALSE(Accepts("spiffe://user@example.org/path"));
  EXPECT_FALSE(Accepts("spiffe://user:secret@example.org/path"));
  EXPECT_FALSE(Accepts("spiffe://example.org:8080/path"));
  EXPECT_FALSE(Accepts("spiffe://[::1]/path"));
}

TEST(SpiffeIdTest, RejectsQueryAndFragment) {
  EXPECT_FALSE(Accepts("spiffe://example.org/path?query=1"));
  EXPECT_FALSE(Accepts("spiffe://example.org/path#fragment"));
  EXPECT_FALSE(Accepts("spiffe://example.org?query=1"));
  EXPECT_FALSE(Accepts("spiffe://example.org#fragment"));
}

TEST(SpiffeIdTest, RejectsPercentEncoding) {
  EXPECT_FALSE(Accepts("spiffe://%65xample.org/path"));
  EXPECT_FALSE(Accepts("spiffe://example.org/%70ath"));
  EXPECT_FALSE(Accepts("spiffe://example.org/%F0%9F%A4%AF"));
}

TEST(SpiffeIdTest, RejectsEmptySegmentsAndATrailingSlash) {
  EXPECT_TRUE(Says("spiffe://td/", "path cannot have a trailing slash"));
  EXPECT_TRUE(Says("spiffe://td/path/", "path cannot have a trailing slash"));
  EXPECT_TRUE(Says("spiffe://td//", "path cannot contain empty segments"));
  EXPECT_TRUE(Says("spiffe://td//path", "path cannot contain empty segments"));
  EXPECT_TRUE(Says("spiffe://td/a//b", "path cannot contain empty segments"));
}

TEST(SpiffeIdTest, RejectsDotSegmentsOnly) {
  for (std::string path : {"/.", "/..", "/./a", "/../a", "/a/.", "/a/..", "/a/./b", "/a/../b"}) {
    EXPECT_TRUE(Says("spiffe://td" + path, "dot segment")) << path;
  }
  for (std::string path : {"/...", "/.a", "/..a", "/a.", "/a..b"}) {
    EXPECT_TRUE(Accepts("spiffe://td" + path)) << path;
  }
}

TEST(SpiffeIdTest, PathIsCaseSensitive) {
  EXPECT_NE(SpiffeId::Parse("spiffe://td/Path").value(),
            SpiffeId::Parse("spiffe://td/path").value());
}

TEST(SpiffeIdTest, TakesUpTo2048Bytes) {
  std::string id = "spiffe://td/";
  id += std::string(kSpiffeIdBytesMax - id.size(), 'a');
  EXPECT_TRUE(Accepts(id));
  EXPECT_TRUE(Says(id + "a", "2049 bytes, more than the 2048 allowed"));
}

TEST(SpiffeIdTest, BuildsFromATrustDomainAndAPath) {
  EXPECT_EQ(SpiffeId::FromPath(Td("td"), "/a/b").value().text(), "spiffe://td/a/b");
  EXPECT_EQ(SpiffeId::FromPath(Td("td"), "").value().text(), "spiffe://td");
  EXPECT_FALSE(SpiffeId::FromPath(Td("td"), "a").ok());
  EXPECT_FALSE(SpiffeId::FromPath(Td("td"), "/").ok());
  EXPECT_FALSE(SpiffeId::FromPath(Td("td"), ".evil.org/a").ok());
}

TEST(SpiffeIdTest, ErrorsEscapeWhatTheyQuote) {
  EXPECT_EQ(Refusal("spiffe://td/a\nb\x1b[0m").find('\n'), std::string::npos);
  EXPECT_EQ(Refusal("spiffe://td/a\nb\x1b[0m").find('\x1b'), std::string::npos);
}

TEST(SpiffeIdTest, KnowsReservedPaths) {
  struct Case {
    const char* path;
    bool reserved, server, agent;
  };
  for (const Case& c : {Case{"/spire", true, false, false}, Case{"/spire/x", true, false, false},
                        Case{"/spire/server", true, true, false},
                        Case{"/spire/server/x", true, false, false},
                        Case{"/spire/agent", true, false, false},
                        Case{"/spire/agent/join_token/x", true, false, true},
                        Case{"/spirea", false, false, false}, Case{"/a/spire", false, false, false},
                        Case{"", false, false, false}}) {
    SpiffeId id = SpiffeId::FromPath(Td("td"), c.path).value();
    EXPECT_EQ(id.IsReserved(), c.reserved) << c.path;
    EXPECT_EQ(id.IsServer(), c.server) << c.path;
    EXPECT_EQ(id.IsAgent(), c.agent) << c.path;
  }
  EXPECT_EQ(ServerId(Td("td")).text(), "spiffe://td/spire/server");
}

TEST(TrustDomainTest, TakesANameOrAnIdWithoutPath) {
  EXPECT_EQ(Td("example.org").id(), "spiffe://example.org");
  EXPECT_EQ(Td("spiffe://example.org").name(), "example.org");
  EXPECT_FALSE(TrustDomain::Parse("spiffe://example.org/path").ok());
  EXPECT_FALSE(TrustDomain::Parse("spiffe://example.org/").ok());
}

TEST(TrustDomainTest, TreatsAddressesAndOddDnsNamesLikeAnyOtherName) {
  for (std::string name : {"10.0.0.1", "a", "-", "_", ".", "a..b", "trust_domain", "-a-", "1"}) {
    EXPECT_TRUE(TrustDomain::Parse(name).ok()) << name;
  }
}

TEST(TrustDomainTest, RejectsUppercaseForeignCharactersAndEmptyNames) {
  for (std::string name : {"", "spiffe://", "Example.org", "example.org:80", "a/b", "a b",
                           "h\xc3\xa9", "*.org", "SPIFFE://td", "spiffe:/td"}) {
    EXPECT_EQ(TrustDomain::Parse(name).code(), Code::kInvalidArgument) << name;
  }
}

TEST(TrustDomainTest, TakesUpTo255Bytes) {
  EXPECT_TRUE(TrustDomain::Parse(std::string(255, 'a')).ok());
  EXPECT_FALSE(TrustDomain::Parse(std::string(256, 'a')).ok());
  EXPECT_FALSE(Accepts("spiffe://" + std::string(256, 'a') + "/path"));
}

}  // namespace
}  // namespace writ
