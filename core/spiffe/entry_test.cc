// SPDX-License-Identifier: Apache-2.0
#include "core/spiffe/entry.h"

#include <gtest/gtest.h>

namespace writ {
namespace {

TEST(EntryTest, ExpiresAfterItsLastSecond) {
  TrustDomain td = TrustDomain::Parse("td").value();
  Entry entry{.spiffe_id = SpiffeId::FromPath(td, "/a").value(), .parent_id = ServerId(td)};
  EXPECT_FALSE(entry.ExpiredAt(FromUnixSeconds(1'000)));
  entry.expires_at = 1'000;
  EXPECT_FALSE(entry.ExpiredAt(FromUnixSeconds(1'000)));
  EXPECT_TRUE(entry.ExpiredAt(FromUnixSeconds(1'001)));
}

TEST(EntryIdTest, TakesUpTo255OfTheListedCharacters) {
  EXPECT_TRUE(ValidateEntryId("a").ok());
  EXPECT_TRUE(ValidateEntryId("8d2b-ABC_xyz.09").ok());
  EXPECT_TRUE(ValidateEntryId(std::string(255, 'x')).ok());
  for (const char* id : {"", "a b", "a/b", "a:b", "\xc3\xa9", "a\n", "a*"}) {
    EXPECT_EQ(ValidateEntryId(id).code(), Code::kInvalidArgument) << id;
  }
  EXPECT_FALSE(ValidateEntryId(std::string(256, 'x')).ok());
  EXPECT_FALSE(ValidateEntryId(std::string_view("a\0b", 3)).ok());
}

TEST(DnsNameTest, TakesWhatSpireTakes) {
  for (const char* name :
       {"com", "example.com", "*.example.com", "a-hello.com", "xn--ls8h.org", "xn--bcher-kva.ch",
        "___.com", "my_host", "a b.com", "$x.com", "EXAMPLE.com", "1.2.3.4", "a--b", "abc--d",
        " padded ", "*.com"}) {
    EXPECT_TRUE(ValidateDnsName(name).ok()) << ValidateDnsName(name).message();
  }
}

TEST(DnsNameTest, RefusesWhatSpireRefuses) {
  for (const char* name :
       {"", " ", ".", "example.com.", "a..b", ".a", "*.foo.*.bar", "*", "**.a", "*a.b",
        "foo.*.bar", "*.", "*. ", "-hello.com", "a-", "a- ", "ab--", "ab--c.com", "xn--", "xn--a",
        "XN--nxasmq6b", "xn--BCHER-kva", "xn--abc-", "\xf0\x9f\x92\xa9.com",
        "example.\xf0\x9f\x92\xa9"}) {
    EXPECT_EQ(ValidateDnsName(name).code(), Code::kInvalidArgument) << name;
  }
}

TEST(DnsNameTest, BoundsLabelsAt63AndNamesAt253Bytes) {
  EXPECT_TRUE(ValidateDnsName(std::string(63, 'a')).ok());
  EXPECT_FALSE(ValidateDnsName(std::string(64, 'a')).ok());
  std::string name;
  for (int i = 0; i < 5; ++i) name.append(49, 'a').append(".");
  EXPECT_TRUE(ValidateDnsName(name + "abc").ok());
  EXPECT_FALSE(ValidateDnsName(name + "abcd").ok());
  EXPECT_TRUE(ValidateDnsName("*." + name + "abc").ok());
}

TEST(DnsNameTest, RefusesControlCharacters) {
  for (std::string_view name : {std::string_view("good.com\0.evil.com", 18),
                                std::string_view("a\nb.com"), std::string_view("a.com\t"),
                                std::string_view("a\x7f")}) {
    EXPECT_FALSE(ValidateDnsName(name).ok());
  }
}

}  // namespace
}  // namespace writ
