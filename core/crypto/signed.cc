// SPDX-License-Identifier: Apache-2.0
#include "core/crypto/signed.h"

#include "core/crypto/der.h"
#include "core/crypto/signature.h"

namespace writ {

Result<SignedParts> ParseSigned(std::string_view der) {
  DerReader outer(der);
  DerReader reader = TRY(outer.Enter(der::kSequence));
  TRY(outer.Finish());
  SignedParts parts;
  parts.to_be_signed = TRY(reader.Read(der::kSequence)).whole;
  parts.algorithm = TRY(reader.Read(der::kSequence), "signature algorithm").whole;
  parts.signature = TRY(reader.ReadBitStringBytes(), "signature");
  TRY(reader.Finish());
  return parts;
}

Result<std::string> SignDer(std::string_view to_be_signed, Signer& signer) {
  SignatureScheme scheme = DefaultScheme(signer.Public());
  std::string signature = TRY(signer.Sign(scheme, to_be_signed), "sign");
  DerWriter writer;
  writer.Nest(der::kSequence, [&] {
    writer.Raw(to_be_signed);
    writer.Raw(AlgorithmOfScheme(scheme));
    writer.BitStringBytes(signature);
  });
  return writer.Take();
}

}  // namespace writ
