// SPDX-License-Identifier: Apache-2.0
#include "core/crypto/pem.h"

#include <gtest/gtest.h>

namespace writ {
namespace {

TEST(PemTest, BlocksGoBothWays) {
  for (size_t size : {1u, 47u, 48u, 49u, 1000u}) {
    std::string bytes(size, 'x');
    std::string text = PemEncode(kPemCertificate, bytes);
    Result<std::vector<PemBlock>> blocks = PemDecode(text);
    ASSERT_TRUE(blocks.ok());
    ASSERT_EQ(blocks->size(), 1u);
    EXPECT_EQ((*blocks)[0].label, "CERTIFICATE");
    EXPECT_EQ((*blocks)[0].bytes, bytes);
  }
  EXPECT_EQ(PemEncode("X", "abc"), "-----BEGIN X-----\nYWJj\n-----END X-----\n");
}

TEST(PemTest, PassesOverTextAndTakesCarriageReturns) {
  Result<std::vector<PemBlock>> blocks = PemDecode(
      "issuer: me\r\n-----BEGIN A-----\r\nYWJj\r\n-----END A-----\r\nand\n"
      "-----BEGIN B-----\nYWJj\n-----END B-----");
  ASSERT_TRUE(blocks.ok()) << blocks.status().ToString();
  ASSERT_EQ(blocks->size(), 2u);
  EXPECT_EQ((*blocks)[1].label, "B");
  EXPECT_TRUE(PemDecode("no block at all")->empty());
}

TEST(PemTest, RefusesBlocksThatAreBrokenAndNamesTheLine) {
  for (const char* text : {
           "-----BEGIN A-----\nYWJj\n",
           "-----BEGIN A-----\nYWJj\n-----END B-----\n",
           "-----BEGIN A-----\nYW!j\n-----END A-----\n",
           "-----BEGIN A-----\nYWJ\n-----END A-----\n",
           "-----BEGIN A-----\nProc-Type: 4,ENCRYPTED\n\nYWJj\n-----END A-----\n",
           "-----BEGIN A-----\n-----BEGIN A-----\nYWJj\n-----END A-----\n",
       }) {
    EXPECT_EQ(PemDecode(text).code(), Code::kInvalidArgument) << text;
  }
  EXPECT_NE(PemDecode("\n\n-----BEGIN A-----\n").status().message().find("line 3"),
            std::string::npos);
}

}  // namespace
}  // namespace writ
