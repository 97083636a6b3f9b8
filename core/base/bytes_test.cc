// SPDX-License-Identifier: Apache-2.0
#include "core/base/bytes.h"

#include <gtest/gtest.h>

#include "test/fake/fake_clock.h"

namespace writ {
namespace {

TEST(BytesTest, HexRoundTripsAndTakesEitherCase) {
  EXPECT_EQ(HexEncode(std::string_view("\x00\x9f\xff", 3)), "009fff");
  EXPECT_EQ(*HexDecode("009FfF"), std::string("\x00\x9f\xff", 3));
  EXPECT_EQ(*HexDecode(""), "");
  EXPECT_FALSE(HexDecode("0").ok());
  EXPECT_FALSE(HexDecode("0g").ok());
  EXPECT_FALSE(HexDecode("0x00").ok());
}

TEST(BytesTest, Base64MatchesTheVectorsOfRfc4648) {
  const std::pair<std::string, std::string> vectors[] = {
      {"", ""},         {"f", "Zg=="},         {"fo", "Zm8="},        {"foo", "Zm9v"},
      {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : vectors) {
    EXPECT_EQ(Base64Encode(bytes), text);
    EXPECT_EQ(*Base64Decode(text), bytes);
    std::string bare = text.substr(0, text.find('='));
    EXPECT_EQ(Base64UrlEncode(bytes), bare);
    EXPECT_EQ(*Base64UrlDecode(bare), bytes);
  }
}

TEST(BytesTest, Base64TakesTheCanonicalSpellingOnly) {
  for (std::string_view text :
       {"Zg", "Zg=", "Zg===", "Zg==Zg==", "Z===", "====", "=", "Zh==", "Zm9=", "Zm9v====", "Zm 9",
        "Zm9v\n", "Zm-_", "AAAAA==="}) {
    EXPECT_FALSE(Base64Decode(text).ok()) << text;
  }
}

TEST(BytesTest, Base64UrlRefusesPaddingStrayBitsAndTheOtherAlphabet) {
  EXPECT_EQ(*Base64UrlDecode("-_-_"), *Base64Decode("+/+/"));
  for (std::string_view text : {"Zg==", "Zh", "Zm9", "A", "AAAAA", "+/+/", "Zm9v ", "Zg="}) {
    EXPECT_FALSE(Base64UrlDecode(text).ok()) << text;
  }
}

TEST(BytesTest, EveryLengthRoundTrips) {
  SeededRandom random(3);
  for (size_t length = 0; length < 100; ++length) {
    std::string bytes = random.Bytes(length);
    EXPECT_EQ(*Base64Decode(Base64Encode(bytes)), bytes);
    EXPECT_EQ(*Base64UrlDecode(Base64UrlEncode(bytes)), bytes);
    EXPECT_EQ(*HexDecode(HexEncode(bytes)), bytes);
  }
}

TEST(BytesTest, PrintableEscapesAndCuts) {
  EXPECT_EQ(Printable("plain text/1"), "plain text/1");
  EXPECT_EQ(Printable("a\n\"\\\x1b\xc3"), R"(a\x0a"\\\x1b\xc3)");
  EXPECT_EQ(Printable("abcdef", 3), "abc...");
  EXPECT_EQ(Printable("abc", 3), "abc");
}

TEST(BytesTest, IsUtf8TakesShortestFormsOfScalarValuesOnly) {
  for (const char* good : {"", "a", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80"}) {
    EXPECT_TRUE(IsUtf8(good)) << Printable(good);
  }
  for (const char* bad : {"\x80", "\xc3", "\xc0\xaf", "\xe2\x82", "\xed\xa0\x80",
                          "\xf4\x90\x80\x80", "\xff", "\xc3("}) {
    EXPECT_FALSE(IsUtf8(bad)) << Printable(bad);
  }
}

}  // namespace
}  // namespace writ
