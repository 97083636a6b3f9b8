// SPDX-License-Identifier: Apache-2.0
#include "core/crypto/spki.h"

#include <array>
#include <bit>

#include "core/crypto/der.h"
#include "core/crypto/oid.h"

namespace writ {
namespace {

constexpr std::array<CurveFacts, 3> kCurves = {{
    {KeyFamily::kEcP256, oid::kP256, "P-256", "P-256", 32},
    {KeyFamily::kEcP384, oid::kP384, "P-384", "P-384", 48},
    {KeyFamily::kEcP521, oid::kP521, "P-521", "P-521", 66},
}};
constexpr size_t kEd25519KeyBytes = 32;
constexpr int kRsaBitsMin = 2048;
constexpr int kRsaBitsMax = 8192;
constexpr size_t kRsaExponentBytesMax = 4;

int BitLength(std::string_view magnitude) {
  if (magnitude.empty()) return 0;
  return static_cast<int>(magnitude.size() * 8) -
         std::countl_zero(static_cast<uint8_t>(magnitude[0]));
}

bool IsOdd(std::string_view magnitude) {
  return !magnitude.empty() && (static_cast<uint8_t>(magnitude.back()) & 1) != 0;
}

Result<SpkiParts> ParseEc(DerReader algorithm, std::string_view bits) {
  std::string_view name = TRY(algorithm.ReadOid(), "named curve");
  TRY(algorithm.Finish());
  for (const CurveFacts& curve : kCurves) {
    if (curve.oid != name) continue;
    if (bits.size() != 1 + 2 * curve.coordinate_bytes || bits[0] != 4) {
      return InvalidArgument("an EC public key must be an uncompressed point of " +
                             std::string(curve.openssl_name));
    }
    return SpkiParts{curve.family, bits, {}, {}};
  }
  return InvalidArgument("EC public key on an unknown curve; P-256, P-384 and P-521 are known");
}

Result<SpkiParts> ParseRsa(DerReader algorithm, std::string_view bits) {
  TRY(algorithm.Read(der::kNull), "RSA parameters");
  TRY(algorithm.Finish());
  DerReader outer(bits);
  DerReader key = TRY(outer.Enter(der::kSequence));
  TRY(outer.Finish());
  SpkiParts parts{KeyFamily::kRsa, bits, {}, {}};
  parts.modulus = TRY(key.ReadUnsigned(), "RSA modulus");
  parts.exponent = TRY(key.ReadUnsigned(), "RSA exponent");
  TRY(key.Finish());
  int length = BitLength(parts.modulus);
  if (length < kRsaBitsMin || length > kRsaBitsMax) {
    return InvalidArgument("RSA keys must have 2048 to 8192 bits, this one has " +
                           std::to_string(length));
  }
  if (!IsOdd(parts.modulus)) return InvalidArgument("the RSA modulus is even");
  bool exponent_fits = parts.exponent.size() <= kRsaExponentBytesMax && IsOdd(parts.exponent) &&
                       BitLength(parts.exponent) >= 2;
  if (!exponent_fits) return InvalidArgument("the RSA exponent must be odd, 3 to 2^32-1");
  return parts;
}

Result<SpkiParts> ParseEd25519(DerReader algorithm, std::string_view bits) {
  TRY(algorithm.Finish(), "Ed25519 parameters");
  if (bits.size() != kEd25519KeyBytes) {
    return InvalidArgument("an Ed25519 public key must have 32 bytes, this one has " +
                           std::to_string(bits.size()));
  }
  return SpkiParts{KeyFamily::kEd25519, bits, {}, {}};
}

}  // namespace

const CurveFacts* FindCurve(KeyFamily family) {
  for (const CurveFacts& curve : kCurves) {
    if (curve.family == family) return &curve;
  }
  return nullptr;
}

const CurveFacts* FindCurveByJwkName(std::string_view name) {
  for (const CurveFacts& curve : kCurves) {
    if (curve.jwk_name == name) return &curve;
  }
  return nullptr;
}

Result<SpkiParts> ParseSpki(std::string_view der) {
  DerReader outer(der);
  DerReader info = TRY(outer.Enter(der::kSequence), "public key");
  TRY(outer.Finish(), "public key");
  DerReader algorithm = TRY(info.Enter(der::kSequence), "public key algorithm");
  std::string_view name = TRY(algorithm.ReadOid(), "public key algorithm");
  std::string_view bits = TRY(info.ReadBitStringBytes(), "public key bits");
  TRY(info.Finish(), "public key");
  if (name == oid::kEcPublicKey) return ParseEc(algorithm, bits);
  if (name == oid::kRsaEncryption) return ParseRsa(algorithm, bits);
  if (name == oid::kEd25519) return ParseEd25519(algorithm, bits);
  return InvalidArgument("public key of an unknown algorithm; EC, RSA and Ed25519 are known");
}

std::string MakeEcSpki(const CurveFacts& curve, std::string_view point) {
  DerWriter writer;
  writer.Nest(der::kSequence, [&] {
    writer.Nest(der::kSequence, [&] {
      writer.Oid(oid::kEcPublicKey);
      writer.Oid(curve.oid);
    });
    writer.BitStringBytes(point);
  });
  return writer.Take();
}

std::string MakeRsaSpki(std::string_view modulus, std::string_view exponent) {
  DerWriter key;
  key.Nest(der::kSequence, [&] {
    key.Unsigned(modulus);
    key.Unsigned(exponent);
  });
  DerWriter writer;
  writer.Nest(der::kSequence, [&] {
    writer.Nest(der::kSequence, [&] {
      writer.Oid(oid::kRsaEncryption);
      writer.Null();
    });
    writer.BitStringBytes(key.bytes());
  });
  return writer.Take();
}

}  // namespace writ
