// SPDX-License-Identifier: Apache-2.0
#include "core/crypto/ecdsa.h"

#include "core/crypto/der.h"

namespace writ {

Result<EcdsaNumbers> EcdsaFromDer(std::string_view der) {
  DerReader outer(der);
  DerReader pair = TRY(outer.Enter(der::kSequence), "ECDSA signature");
  TRY(outer.Finish(), "ECDSA signature");
  EcdsaNumbers numbers;
  numbers.r = TRY(pair.ReadUnsigned(), "ECDSA signature");
  numbers.s = TRY(pair.ReadUnsigned(), "ECDSA signature");
  TRY(pair.Finish(), "ECDSA signature");
  return numbers;
}

std::string EcdsaToDer(std::string_view r, std::string_view s) {
  DerWriter writer;
  writer.Nest(der::kSequence, [&] {
    writer.Unsigned(r);
    writer.Unsigned(s);
  });
  return writer.Take();
}

}  // namespace writ
