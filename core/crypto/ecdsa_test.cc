// SPDX-License-Identifier: Apache-2.0
#include "core/crypto/ecdsa.h"

#include <gtest/gtest.h>

#include "core/base/bytes.h"

namespace writ {
namespace {

TEST(EcdsaTest, NumbersGoIntoDerAndBack) {
  std::string der = EcdsaToDer(std::string_view("\x00\x81\x02", 3), "\x05");
  EXPECT_EQ(HexEncode(der), "30080203008102020105");
  Result<EcdsaNumbers> numbers = EcdsaFromDer(der);
  ASSERT_TRUE(numbers.ok()) << numbers.status().ToString();
  EXPECT_EQ(HexEncode(numbers->r), "8102");
  EXPECT_EQ(HexEncode(numbers->s), "05");
}

TEST(EcdsaTest, RefusesWhatIsNoPairOfNumbers) {
  for (const char* hex : {"", "30", "3003020101", "3009020101020101020101", "30060201ff020101",
                          "300602010102010100", "3106020101020101"}) {
    EXPECT_FALSE(EcdsaFromDer(*HexDecode(hex)).ok()) << hex;
  }
}

}  // namespace
}  // namespace writ
