// SPDX-License-Identifier: Apache-2.0
#include "core/crypto/extension.h"

#include <gtest/gtest.h>

#include "core/crypto/oid.h"

namespace writ {
namespace {

std::string SequenceOf(std::string_view elements) {
  DerWriter writer;
  writer.Element(der::kSequence, elements);
  return writer.Take();
}

std::string OneExtension(std::string_view oid, std::string_view boolean) {
  DerWriter writer;
  writer.Nest(der::kSequence, [&] {
    writer.Oid(oid);
    writer.Raw(boolean);
    writer.Element(der::kOctetString, "value");
  });
  return writer.Take();
}

TEST(ExtensionTest, ReadsCriticalityWrittenOrNot) {
  std::string none = SequenceOf(OneExtension(oid::kKeyUsage, ""));
  std::string yes = SequenceOf(OneExtension(oid::kKeyUsage, "\x01\x01\xff"));
  std::string no = SequenceOf(OneExtension(oid::kKeyUsage, std::string_view("\x01\x01\x00", 3)));
  EXPECT_FALSE(ParseExtensions(none)->at(0).critical);
  EXPECT_TRUE(ParseExtensions(yes)->at(0).critical);
  EXPECT_FALSE(ParseExtensions(no)->at(0).critical);
  EXPECT_EQ(ParseExtensions(yes)->at(0).value, "value");
}

TEST(ExtensionTest, RefusesNoneTwiceTheSameAndTooMany) {
  std::string one = OneExtension(oid::kKeyUsage, "");
  EXPECT_FALSE(ParseExtensions(SequenceOf("")).ok());
  EXPECT_FALSE(ParseExtensions(SequenceOf(one + one)).ok());
  std::string many;
  for (char i = 0; i < 65; ++i) many += OneExtension(std::string("\x55\x1d") + i, "");
  EXPECT_FALSE(ParseExtensions(SequenceOf(many)).ok());
}

TEST(AlternativeNamesTest, PassesOverOtherKindsAndKeepsTheOrder) {
  DerWriter writer;
  writer.Nest(der::kSequence, [&] {
    writer.Element(der::Context(2), "b");
    writer.Element(der::Context(7), "\x7f\x01\x01\x01");
    writer.Element(der::Context(6), "spiffe://x");
    writer.Element(der::Context(1), "me@example.org");
    writer.Element(der::Context(2), "a");
  });
  Result<AlternativeNames> names = ParseAlternativeNames(writer.bytes());
  ASSERT_TRUE(names.ok());
  EXPECT_EQ(names->uris, std::vector<std::string>{"spiffe://x"});
  EXPECT_EQ(names->dns, (std::vector<std::string>{"b", "a"}));
}

TEST(AlternativeNamesTest, RefusesHiddenBytesAndUnknownKinds) {
  auto ok = [](uint8_t tag, std::string_view value) {
    DerWriter writer;
    writer.Nest(der::kSequence, [&] { writer.Element(tag, value); });
    return ParseAlternativeNames(writer.bytes()).ok();
  };
  EXPECT_TRUE(ok(der::Context(6), "spiffe://x/y"));
  EXPECT_FALSE(ok(der::Context(6), std::string_view("spiffe://x/\0y", 13)));
  EXPECT_FALSE(ok(der::Context(6), ""));
  EXPECT_FALSE(ok(der::Context(2), "\xff"));
  EXPECT_FALSE(ok(der::Context(9), "x"));
  EXPECT_FALSE(ok(der::kUtf8String, "x"));
}

}  // namespace
}  // namespace writ
