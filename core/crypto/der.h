// SPDX-License-Identifier: Apache-2.0
//
// DER (X.690) as certificates need it. DerReader walks one level of elements and takes exactly one
// encoding of each value: definite minimal lengths, low tag numbers, minimal integers. DerWriter
// appends elements; Nest() writes one around what its body writes.
//
// Trust: DerReader takes hostile bytes; it never reads past its view and never recurses.
// Threads: values. Lifetime: what a reader returns borrows from the bytes it was made of.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/status.h"

namespace writ {

// Identifier octets (tag with class and form).
namespace der {
inline constexpr uint8_t kBoolean = 0x01;
inline constexpr uint8_t kInteger = 0x02;
inline constexpr uint8_t kBitString = 0x03;
inline constexpr uint8_t kOctetString = 0x04;
inline constexpr uint8_t kNull = 0x05;
inline constexpr uint8_t kOid = 0x06;
inline constexpr uint8_t kUtf8String = 0x0c;
inline constexpr uint8_t kNumericString = 0x12;
inline constexpr uint8_t kPrintableString = 0x13;
inline constexpr uint8_t kTeletexString = 0x14;
inline constexpr uint8_t kIa5String = 0x16;
inline constexpr uint8_t kUtcTime = 0x17;
inline constexpr uint8_t kGeneralizedTime = 0x18;
inline constexpr uint8_t kUniversalString = 0x1c;
inline constexpr uint8_t kBmpString = 0x1e;
inline constexpr uint8_t kSequence = 0x30;
inline constexpr uint8_t kSet = 0x31;
constexpr uint8_t Context(uint8_t number) { return 0x80 | number; }
constexpr uint8_t ContextConstructed(uint8_t number) { return 0xa0 | number; }
}  // namespace der

struct DerElement {
  uint8_t tag = 0;
  std::string_view content;
  std::string_view whole;  // tag, length and content
};

// Whether bytes are the content of an OBJECT IDENTIFIER, each arc minimal.
bool IsOidContent(std::string_view content);

class DerReader {
 public:
  explicit DerReader(std::string_view bytes) : rest_(bytes), start_(bytes.data()) {}

  bool AtEnd() const { return rest_.empty(); }
  bool NextIs(uint8_t tag) const { return !rest_.empty() && static_cast<uint8_t>(rest_[0]) == tag; }

  Result<DerElement> ReadAny();
  Result<DerElement> Read(uint8_t tag);
  // A reader of the content of a constructed element.
  Result<DerReader> Enter(uint8_t tag);
  // The element if it comes next.
  Result<std::optional<DerElement>> ReadOptional(uint8_t tag);

  // An INTEGER's content: two's complement, minimal.
  Result<std::string_view> ReadInteger();
  // A non-negative INTEGER's magnitude without leading zero byte ("" for zero).
  Result<std::string_view> ReadUnsigned();
  Result<int> ReadSmallInteger();  // 0 to 127
  Result<std::string_view> ReadOid();
  Result<bool> ReadBoolean();
  // A BIT STRING whose bits are whole bytes (keys, signatures).
  Result<std::string_view> ReadBitStringBytes();
  // UTCTime or GeneralizedTime, in seconds, Zulu. Years beyond what Time holds (2262) are clamped.
  Result<Time> ReadTime();

  Status Finish() const;  // InvalidArgument when something is left

 private:
  DerReader(std::string_view bytes, const char* start) : rest_(bytes), start_(start) {}
  Status Fail(std::string_view what) const;

  std::string_view rest_;
  const char* start_;  // of the outermost bytes: errors name offsets there
};

class DerWriter {
 public:
  // Writes an element around what `body` writes.
  template <typename Body>
  void Nest(uint8_t tag, Body body) {
    bytes_ += static_cast<char>(tag);
    size_t start = bytes_.size();
    body();
    InsertLength(start);
  }
  void Element(uint8_t tag, std::string_view content);
  void Raw(std::string_view der) { bytes_ += der; }  // complete elements

  void Unsigned(std::string_view magnitude);  // INTEGER from big endian bytes
  void SmallInteger(int value);               // 0 to 127
  void Oid(std::string_view content) { Element(der::kOid, content); }
  void Boolean(bool value) { Element(der::kBoolean, value ? "\xff" : std::string_view("\0", 1)); }
  void Null() { Element(der::kNull, ""); }
  void BitStringBytes(std::string_view content);
  void Timestamp(Time t);  // UTCTime to 2049, GeneralizedTime after (RFC 5280 section 4.1.2.5)

  const std::string& bytes() const { return bytes_; }
  std::string Take() { return std::move(bytes_); }

 private:
  void InsertLength(size_t start);

  std::string bytes_;
};

}  // namespace writ
