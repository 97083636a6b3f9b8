// SPDX-License-Identifier: Apache-2.0
#include "core/crypto/name.h"

#include <gtest/gtest.h>

#include "core/crypto/der.h"
#include "core/crypto/oid.h"

namespace writ {
namespace {

std::string NameOf(std::string_view oid, uint8_t tag, std::string_view value) {
  DerWriter writer;
  writer.Nest(der::kSequence, [&] {
    writer.Nest(der::kSet, [&] {
      writer.Nest(der::kSequence, [&] {
        writer.Oid(oid);
        writer.Element(tag, value);
      });
    });
  });
  return writer.Take();
}

std::string CommonName(uint8_t tag, std::string_view value) {
  std::string der = NameOf(oid::kCommonName, tag, value);
  Result<std::vector<NameAttribute>> name = ParseName(der);
  return name.ok() ? CommonNameOf(*name) : "refused";
}

TEST(NameTest, WritesTheSubjectInItsOrder) {
  std::string der = WriteName({.country = "US",
                               .organization = "A",
                               .organizational_unit = "B",
                               .common_name = "C",
                               .serial_number = "1"});
  EXPECT_EQ(NameText(*ParseName(der)), "SERIALNUMBER=1,CN=C,OU=B,O=A,C=US");
  EXPECT_EQ(WriteName({}), std::string("\x30\x00", 2));
}

TEST(NameTest, ReadsEveryStringTypeAsUtf8) {
  EXPECT_EQ(CommonName(der::kUtf8String, "Größe"), "Größe");
  EXPECT_EQ(CommonName(der::kPrintableString, "abc"), "abc");
  EXPECT_EQ(CommonName(der::kTeletexString, "Gr\xf6"), "Grö");
  EXPECT_EQ(CommonName(der::kBmpString, std::string_view("\x00\x47\x20\xac", 4)), "G€");
  EXPECT_EQ(CommonName(der::kUniversalString, std::string_view("\x00\x01\xf6\x00", 4)), "😀");
}

TEST(NameTest, RefusesStringsThatAreNotWellFormed) {
  EXPECT_EQ(CommonName(der::kUtf8String, "\xff"), "refused");
  EXPECT_EQ(CommonName(der::kUtf8String, "\xc0\x80"), "refused");      // overlong
  EXPECT_EQ(CommonName(der::kUtf8String, "\xed\xa0\x80"), "refused");  // surrogate
  EXPECT_EQ(CommonName(der::kUtf8String, "\xe2\x82"), "refused");      // cut off
  EXPECT_EQ(CommonName(der::kPrintableString, "\xe4"), "refused");
  EXPECT_EQ(CommonName(der::kBmpString, "abc"), "refused");
  EXPECT_EQ(CommonName(der::kUniversalString, std::string_view("\x00\x11\x00\x00", 4)), "refused");
  EXPECT_EQ(CommonName(der::kOctetString, "abc"), "refused");
}

TEST(NameTest, TextIsEscapedAsRfc4514SaysAndUnknownTypesAreDotted) {
  auto text = [](std::string_view value) {
    std::string der = NameOf(oid::kCommonName, der::kUtf8String, value);
    return NameText(*ParseName(der));
  };
  EXPECT_EQ(text("a,b+c=\"d\""), "CN=a\\,b\\+c=\\\"d\\\"");
  EXPECT_EQ(text(" #a "), "CN=\\ #a\\ ");
  EXPECT_EQ(text("#a"), "CN=\\#a");
  std::string unknown = NameOf("\x2a\x03\x04", der::kUtf8String, "x");
  EXPECT_EQ(NameText(*ParseName(unknown)), "1.2.3.4=#0c0178");
}

TEST(NameTest, RefusesAnEmptyRelativeNameAndTooManyAttributes) {
  EXPECT_FALSE(ParseName(std::string_view("\x30\x02\x31\x00", 4)).ok());
  std::string one = NameOf(oid::kCommonName, der::kUtf8String, "x").substr(2);
  DerWriter writer;
  writer.Nest(der::kSequence, [&] {
    for (int i = 0; i < 101; ++i) writer.Raw(one);
  });
  EXPECT_FALSE(ParseName(writer.bytes()).ok());
}

}  // namespace
}  // namespace writ
