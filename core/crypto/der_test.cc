// SPDX-License-Identifier: Apache-2.0
#include "core/crypto/der.h"

#include <gtest/gtest.h>

#include "core/base/bytes.h"

namespace writ {
namespace {

using namespace std::string_view_literals;

std::string Hex(std::string_view text) { return *HexDecode(text); }

TEST(DerReaderTest, WalksElementsInOrder) {
  std::string bytes = Hex("020105300302010a0500");
  DerReader reader(bytes);
  EXPECT_EQ(*reader.ReadSmallInteger(), 5);
  DerReader inner = *reader.Enter(der::kSequence);
  EXPECT_EQ(*inner.ReadSmallInteger(), 10);
  EXPECT_TRUE(inner.Finish().ok());
  EXPECT_FALSE(reader.Finish().ok());
  EXPECT_TRUE(reader.Read(der::kNull).ok());
  EXPECT_TRUE(reader.Finish().ok());
}

TEST(DerReaderTest, RefusesEveryOtherSpellingOfALength) {
  for (const char* hex : {
           "0480",              // indefinite
           "04810101",          // long form for a short length
           "0482000101",        // leading zero
           "0485000000000101",  // too many octets
           "0402ff",            // cut off
           "04",                // no length
           "048401",            // cut off within the length
           "04ffff",            // reserved
           "1f0100",            // high tag number
       }) {
    std::string bytes = Hex(hex);
    EXPECT_EQ(DerReader(bytes).ReadAny().code(), Code::kInvalidArgument) << hex;
  }
}

TEST(DerReaderTest, ErrorsNameTheOffsetInTheOutermostBytes) {
  std::string bytes = Hex("3006300404020000");
  DerReader outer(bytes);
  DerReader middle = *outer.Enter(der::kSequence);
  DerReader inner = *middle.Enter(der::kSequence);
  EXPECT_EQ(inner.Read(der::kInteger).status().message(),
            "DER: expected tag 0x02, found 0x04 at offset 4");
}

TEST(DerReaderTest, IntegersAreMinimalAndUnsignedOnesNotNegative) {
  auto read = [](std::string_view hex) {
    std::string bytes = Hex(hex);
    Result<std::string_view> value = DerReader(bytes).ReadUnsigned();
    return value.ok() ? HexEncode(*value) : std::string("refused");
  };
  EXPECT_EQ(read("020100"), "");
  EXPECT_EQ(read("02017f"), "7f");
  EXPECT_EQ(read("02020080"), "80");
  EXPECT_EQ(read("0202007f"), "refused");
  EXPECT_EQ(read("020180"), "refused");
  EXPECT_EQ(read("0202ff80"), "refused");
  EXPECT_EQ(read("0200"), "refused");
  std::string big = Hex("02020080");
  EXPECT_FALSE(DerReader(big).ReadSmallInteger().ok());
}

TEST(DerReaderTest, BooleansAreZerosOrOnes) {
  EXPECT_TRUE(*DerReader("\x01\x01\xff").ReadBoolean());
  EXPECT_FALSE(*DerReader("\x01\x01\x00"sv).ReadBoolean());
  EXPECT_FALSE(DerReader("\x01\x01\x01").ReadBoolean().ok());
}

TEST(DerReaderTest, ObjectIdentifiersHaveMinimalArcs) {
  EXPECT_TRUE(DerReader("\x06\x03\x55\x1d\x0f").ReadOid().ok());
  EXPECT_FALSE(DerReader("\x06\x03\x55\x80\x0f").ReadOid().ok());
  EXPECT_FALSE(DerReader("\x06\x02\x55\x8f").ReadOid().ok());
  EXPECT_FALSE(DerReader("\x06\x00"sv).ReadOid().ok());
}

std::string TimeElement(uint8_t tag, std::string_view text) {
  DerWriter writer;
  writer.Element(tag, text);
  return writer.Take();
}

TEST(DerTimeTest, IsUtcTimeTo2049AndGeneralizedTimeAfter) {
  for (int64_t seconds : {int64_t{0}, int64_t{1'790'000'000}, int64_t{2'524'607'999},
                          int64_t{2'524'608'000}, int64_t{9'000'000'000}}) {
    DerWriter writer;
    writer.Timestamp(FromUnixSeconds(seconds));
    bool utc = static_cast<uint8_t>(writer.bytes()[0]) == der::kUtcTime;
    EXPECT_EQ(utc, seconds < 2'524'608'000) << seconds;
    EXPECT_EQ(ToUnixSeconds(*DerReader(writer.bytes()).ReadTime()), seconds);
  }
}

TEST(DerTimeTest, RefusesTimesThatDoNotExistOrAreNotZulu) {
  auto ok = [](uint8_t tag, std::string_view text) {
    return DerReader(TimeElement(tag, text)).ReadTime().ok();
  };
  EXPECT_TRUE(ok(der::kUtcTime, "240229000000Z"));
  EXPECT_FALSE(ok(der::kUtcTime, "230229000000Z"));
  EXPECT_FALSE(ok(der::kUtcTime, "231301000000Z"));
  EXPECT_FALSE(ok(der::kUtcTime, "230101240000Z"));
  EXPECT_FALSE(ok(der::kUtcTime, "2301010000Z"));
  EXPECT_FALSE(ok(der::kUtcTime, "230101000000+0100"));
  EXPECT_FALSE(ok(der::kUtcTime, "23010100000aZ"));
  EXPECT_FALSE(ok(der::kGeneralizedTime, "20500101000000.5Z"));
}

TEST(DerTimeTest, ClampsTheYear9999) {
  Time last = *DerReader(TimeElement(der::kGeneralizedTime, "99991231235959Z")).ReadTime();
  EXPECT_GT(ToUnixSeconds(last), 9'000'000'000);
}

TEST(DerWriterTest, WritesMinimalLengthsAroundAnyContent) {
  for (size_t size : {0u, 127u, 128u, 255u, 256u, 65535u, 65536u}) {
    DerWriter writer;
    std::string content(size, 'x');
    writer.Nest(der::kSequence, [&] { writer.Element(der::kOctetString, content); });
    DerReader reader(writer.bytes());
    Result<DerReader> inner = reader.Enter(der::kSequence);
    ASSERT_TRUE(inner.ok()) << size;
    EXPECT_EQ(inner->Read(der::kOctetString)->content, content);
    EXPECT_TRUE(reader.Finish().ok());
  }
}

TEST(DerWriterTest, IntegersStayPositive) {
  DerWriter writer;
  writer.Unsigned("\x00\x00\x80"sv);
  writer.Unsigned("");
  EXPECT_EQ(HexEncode(writer.bytes()), "02020080020100");
}

}  // namespace
}  // namespace writ
