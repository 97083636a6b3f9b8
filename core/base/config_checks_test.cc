// SPDX-License-Identifier: Apache-2.0
#include "core/base/config_checks.h"

#include <gtest/gtest.h>

#include <string>

namespace writ {
namespace {

void ExpectAll(const TextCheck& check, std::initializer_list<std::string_view> good,
               std::initializer_list<std::string_view> bad) {
  for (std::string_view text : good) {
    EXPECT_TRUE(check(text).ok()) << text << ": " << check(text).message();
  }
  for (std::string_view text : bad) EXPECT_EQ(check(text).code(), Code::kInvalidArgument) << text;
}

TEST(ConfigChecksTest, PathsAreAbsoluteAndPlain) {
  ExpectAll(CheckAbsolutePath, {"/a", "/a/b.c", "/a/..b", "/a b"},
            {"", "a", "./a", "/a/../b", "/..", "/a/.", "/a/./b", "/a/", "/"});
}

TEST(ConfigChecksTest, SocketPathsFitTheirStructure) {
  EXPECT_TRUE(CheckSocketPath("/" + std::string(106, 'a')).ok());
  EXPECT_EQ(CheckSocketPath("/" + std::string(107, 'a')).message(),
            "must have at most 107 bytes, as every Unix socket's path, and has 108");
  EXPECT_FALSE(CheckSocketPath("a").ok());
}

TEST(ConfigChecksTest, AddressesHaveAHostAndAPort) {
  ExpectAll(CheckListenAddress, {"0.0.0.0:8081", ":8081", "localhost:0", "[::1]:1", "[::]:65535"},
            {"", "8081", "a:", "a:b", "a:65536", "a:-1", "::1:80", "a b:1", "[]:1", "http://a:1",
             "a:1 ", "[::1:80", "a/b:1"});
  ExpectAll(CheckServerAddress, {"writ-server:8081", "10.0.0.1:1", "[fe80::1%eth0]:8081"}, {":8081",
            "a:0", "a"});
  std::string long_address(256, 'a');
  long_address += ":1";
  EXPECT_FALSE(CheckListenAddress(long_address).ok());
}

TEST(ConfigChecksTest, UrlsAreHttpsWithoutUserOrFragment) {
  ExpectAll(CheckHttpsUrl,
            {"https://a", "https://a/b?c=d", "https://a:8443/b", "https://[::1]:1/b",
             "https://[::1]"},
            {"", "http://a", "https://", "https:///b", "https://u:p@a/b", "https://a/b#c",
             "https://a/b c", "https://a:x/", "HTTPS://a", "https://a:0/"});
}

TEST(ConfigChecksTest, DigestsAreSixtyFourLowerCaseHexDigits) {
  EXPECT_TRUE(CheckSha256(std::string(64, 'a')).ok());
  EXPECT_FALSE(CheckSha256(std::string(64, 'A')).ok());
  EXPECT_FALSE(CheckSha256(std::string(63, 'a')).ok());
}

TEST(ConfigChecksTest, EmptyOrLetsTheEmptyTextPass) {
  EXPECT_TRUE(EmptyOr(CheckSha256)("").ok());
  EXPECT_FALSE(EmptyOr(CheckSha256)("x").ok());
}

TEST(ConfigChecksTest, ARefusalSaysWhatCameAndWhatWasExpected) {
  EXPECT_EQ(CheckListenAddress("x\n").message(),
            "must be an address like 0.0.0.0:8081 or [::1]:8081, and is `x\\x0a`");
}

}  // namespace
}  // namespace writ
