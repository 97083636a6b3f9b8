// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "core/base/bytes.h"
#include "core/crypto/x509.h"

namespace writ {
namespace {

constexpr size_t kGeneratedBytes = 16;
constexpr size_t kSerialBytesMax = 20;          // RFC 5280 section 4.1.2.2
constexpr size_t kSerialDecimalDigitsMax = 49;  // of 2^160

std::string_view WithoutLeadingZeros(std::string_view bytes) {
  while (!bytes.empty() && bytes[0] == 0) bytes.remove_prefix(1);
  return bytes;
}

// Divides a big endian number in place; returns the remainder.
int DivideByTen(std::string& bytes) {
  int remainder = 0;
  for (char& c : bytes) {
    int value = remainder << 8 | static_cast<uint8_t>(c);
    c = static_cast<char>(value / 10);
    remainder = value % 10;
  }
  return remainder;
}

// bytes = bytes * 10 + digit; false when that no longer fits.
bool AppendDigit(std::string& bytes, int digit) {
  int carry = digit;
  for (auto it = bytes.rbegin(); it != bytes.rend(); ++it) {
    int value = static_cast<uint8_t>(*it) * 10 + carry;
    *it = static_cast<char>(value & 0xff);
    carry = value >> 8;
  }
  return carry == 0;
}

}  // namespace

Serial Serial::Generate(Random& random) {
  Serial serial;
  while (serial.bytes_.empty()) {
    serial.bytes_ = WithoutLeadingZeros(random.Bytes(kGeneratedBytes));
  }
  return serial;
}

Result<Serial> Serial::FromBigEndian(std::string_view bytes) {
  Serial serial;
  serial.bytes_ = WithoutLeadingZeros(bytes);
  if (serial.bytes_.size() > kSerialBytesMax) {
    return InvalidArgument("a serial number has at most " + std::to_string(kSerialBytesMax) +
                           " bytes, this one has " + std::to_string(serial.bytes_.size()));
  }
  return serial;
}

Result<Serial> Serial::FromDecimal(std::string_view text) {
  bool digits = !text.empty() && text.size() <= kSerialDecimalDigitsMax &&
                std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  std::string bytes(kSerialBytesMax, '\0');
  for (size_t i = 0; digits && i < text.size(); ++i) digits = AppendDigit(bytes, text[i] - '0');
  if (!digits) {
    return InvalidArgument("a serial number is written in decimal, below 2^160; got \"" +
                           Printable(text, 60) + "\"");
  }
  return FromBigEndian(bytes);
}

std::string Serial::ToDecimal() const {
  std::string bytes = bytes_;
  std::string text;
  do {
    text += static_cast<char>('0' + DivideByTen(bytes));
    bytes = WithoutLeadingZeros(bytes);
  } while (!bytes.empty());
  std::reverse(text.begin(), text.end());
  return text;
}

std::string Serial::ToHex() const { return bytes_.empty() ? "00" : HexEncode(bytes_); }

}  // namespace writ
