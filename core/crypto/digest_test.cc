// SPDX-License-Identifier: Apache-2.0
#include "core/crypto/digest.h"

#include <gtest/gtest.h>

#include "core/base/bytes.h"

namespace writ {
namespace {

TEST(DigestTest, AnswersTheStandardsVectors) {
  EXPECT_EQ(HexEncode(Sha1("abc")), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(HexEncode(Sha256("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(DigestTest, PiecesGiveTheDigestOfTheWhole) {
  std::string bytes(100'000, 'a');
  Sha256Stream stream;
  for (size_t at = 0; at < bytes.size(); at += 777) {
    stream.Update(std::string_view(bytes).substr(at, 777));
  }
  EXPECT_EQ(stream.Finish(), Sha256(bytes));
}

}  // namespace
}  // namespace writ
