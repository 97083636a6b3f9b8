// SPDX-License-Identifier: Apache-2.0
#include "core/base/json.h"

#include <gtest/gtest.h>

#include <limits>

#include "test/fake/fake_clock.h"

namespace writ {
namespace {

std::string Nested(size_t levels) {
  return std::string(levels, '[') + std::string(levels, ']');
}

TEST(JsonTest, ReadsEveryKindOfValue) {
  Result<Json> json = Json::Parse(R"( {"s":"x","n":-3,"u":18446744073709551615,"d":1.5,
      "t":true,"f":false,"z":null,"a":[1,[],{}]} )");
  ASSERT_TRUE(json.ok()) << json.status().ToString();
  EXPECT_EQ(*json->Find("s")->AsString(), "x");
  EXPECT_EQ(*json->Find("n")->AsInt64(), -3);
  EXPECT_FALSE(json->Find("u")->AsInt64().ok());
  EXPECT_EQ(*json->Find("u")->AsDouble(), 18446744073709551615.0);
  EXPECT_EQ(*json->Find("d")->AsDouble(), 1.5);
  EXPECT_TRUE(*json->Find("t")->AsBool());
  EXPECT_FALSE(*json->Find("f")->AsBool());
  EXPECT_TRUE(json->Find("z")->IsNull());
  EXPECT_EQ(json->Find("a")->AsArray()->size(), 3u);
  EXPECT_EQ(json->Find("absent"), nullptr);
  EXPECT_EQ(json->Find("s")->Find("x"), nullptr);
}

TEST(JsonTest, KeepsTheOrderOfMembers) {
  std::string text = R"({"z":1,"a":2,"m":3})";
  EXPECT_EQ(Json::Parse(text)->Dump(), text);
}

TEST(JsonTest, RefusesDuplicateNamesAtEveryLevel) {
  EXPECT_FALSE(Json::Parse(R"({"a":1,"b":2,"a":3})").ok());
  EXPECT_FALSE(Json::Parse(R"([{"x":{"a":1,"a":1}}])").ok());
  EXPECT_FALSE(Json::Parse(R"({"a":1,"\u0061":1})").ok()) << "an escape is the same name";
  EXPECT_TRUE(Json::Parse(R"({"a":{"a":1},"b":{"a":1}})").ok());
}

TEST(JsonTest, RefusesMoreThanThirtyTwoLevels) {
  EXPECT_TRUE(Json::Parse(Nested(32)).ok());
  EXPECT_FALSE(Json::Parse(Nested(33)).ok());
  EXPECT_FALSE(Json::Parse(Nested(1'000'000)).ok());
  EXPECT_FALSE(Json::Parse(std::string(1'000'000, '[')).ok());
}

TEST(JsonTest, RefusesWhatIsNotJson) {
  for (std::string_view text :
       {"", " ", "{", "[1,]", "{\"a\"}", "{a:1}", "nul", "01", "1.", "+1", "'x'", "// x\n1",
        "1e999", "NaN", "{\"a\":1}}", "1 2", "\"\\x\"", "\"tab\there\"", "\"\\ud800\"", "[1"}) {
    EXPECT_FALSE(Json::Parse(text).ok()) << text;
  }
}

TEST(JsonTest, RefusesTextBehindANulByte) {
  EXPECT_FALSE(Json::Parse(std::string_view("{}\0{}", 5)).ok());
  EXPECT_FALSE(Json::Parse(std::string_view("{}\0", 3)).ok());
}

TEST(JsonTest, RefusesInvalidUtf8) {
  for (std::string_view bytes : {"\"\xff\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"",
                                 "\"\xf5\x80\x80\x80\"", "\"\xe2\x82\""}) {
    EXPECT_FALSE(Json::Parse(bytes).ok());
  }
  EXPECT_EQ(*Json::Parse("\"\xe2\x82\xac\"")->AsString(), "\xe2\x82\xac");
}

TEST(JsonTest, ErrorsDoNotQuoteTheText) {
  Status status = Json::Parse(R"({"token": hunter2})").status();
  EXPECT_EQ(status.message().find("hunter"), std::string::npos);
  EXPECT_NE(status.message().find("near byte"), std::string::npos);
}

TEST(JsonTest, WholeNumbersMayBeWrittenWithAnExponent) {
  EXPECT_EQ(*Json::Parse("1.7e9")->AsInt64(), 1'700'000'000);
  EXPECT_EQ(*Json::Parse("-0")->AsInt64(), 0);
  EXPECT_EQ(*Json::Parse("-9223372036854775808")->AsInt64(), std::numeric_limits<int64_t>::min());
  for (std::string_view text :
       {"1.5", "9223372036854775808", "1e30", "-1e19", "\"1\"", "true", "null"}) {
    EXPECT_FALSE(Json::Parse(text)->AsInt64().ok()) << text;
  }
}

TEST(JsonTest, NumbersAreEqualHoweverTheyWereMade) {
  EXPECT_EQ(Json(uint64_t{5}), Json(5));
  EXPECT_EQ(*Json::Parse("5"), Json(int64_t{5}));
  uint64_t large = std::numeric_limits<uint64_t>::max();
  EXPECT_EQ(*Json::Parse(Json(large).Dump()), Json(large));
}

TEST(JsonTest, DumpsCompactAndPretty) {
  Json json = Json::MakeObject();
  json.Set("a", 1).Set("b", Json::MakeArray().Add("x").Add(nullptr == nullptr)).Set("c", Json());
  json.Set("d", Json::MakeObject()).Set("e", 2.0).Set("a", 7);
  EXPECT_EQ(json.Dump(), R"({"a":7,"b":["x",true],"c":null,"d":{},"e":2.0})");
  EXPECT_EQ(json.Dump(true),
            "{\n  \"a\": 7,\n  \"b\": [\n    \"x\",\n    true\n  ],\n  \"c\": null,\n  \"d\": {},\n"
            "  \"e\": 2.0\n}");
}

TEST(JsonTest, DumpEscapesAndReplacesInvalidUtf8) {
  EXPECT_EQ(Json("q\" b\\ n\n t\t r\r c\x01 d\x7f").Dump(),
            R"("q\" b\\ n\n t\t r\r c\u0001 d\u007f")");
  EXPECT_EQ(Json("a\xff\xc3").Dump(), "\"a\xef\xbf\xbd\xef\xbf\xbd\"");
  EXPECT_EQ(Json("\xf0\x9f\x8e\x89\xe2\x82\xac\xc3\xa9").Dump(),
            "\"\xf0\x9f\x8e\x89\xe2\x82\xac\xc3\xa9\"");
  EXPECT_EQ(Json(std::numeric_limits<double>::infinity()).Dump(), "null");
}

TEST(JsonDeathTest, SettingAMemberOfAnArrayIsABrokenInvariant) {
  Json json = Json::MakeArray();
  EXPECT_DEATH(json.Set("a", 1), "broken invariant");
}

// Whatever comes, Parse answers; and what it accepts survives being written and read again.
TEST(JsonTest, MutatedTextNeverCrashesAndWhatIsReadCanBeWritten) {
  const std::string seed_text =
      R"({"keys":[{"kty":"EC","crv":"P-256","x":"\u00e9","n":[1,-2.5e3,true,null]}],"seq":12})";
  SeededRandom random(7);
  for (int round = 0; round < 20'000; ++round) {
    std::string text = seed_text;
    for (uint64_t edits = 1 + random.Uint64() % 4; edits > 0; --edits) {
      size_t at = random.Uint64() % text.size();
      switch (random.Uint64() % 4) {
        case 0: text[at] = static_cast<char>(random.Uint64()); break;
        case 1: text.erase(at, 1 + random.Uint64() % 3); break;
        case 2: text.insert(at, text.substr(random.Uint64() % text.size(), 9)); break;
        default: text.insert(at, 1, "{}[]\",:\\0e-"[random.Uint64() % 11]); break;
      }
      if (text.empty()) text = "0";
    }
    Result<Json> json = Json::Parse(text);
    if (!json.ok()) continue;
    Result<Json> again = Json::Parse(json->Dump());
    ASSERT_TRUE(again.ok()) << text;
    ASSERT_EQ(*again, *json) << text;
    ASSERT_EQ(*Json::Parse(json->Dump(true)), *json) << text;
  }
}

}  // namespace
}  // namespace writ
