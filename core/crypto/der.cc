// SPDX-License-Identifier: Apache-2.0
#include "core/crypto/der.h"

#include <algorithm>
#include <charconv>

#include "core/base/bytes.h"

namespace writ {
namespace {

constexpr size_t kLengthOctetsMax = 4;

std::string TagText(uint8_t tag) {
  return "0x" + HexEncode(std::string_view(reinterpret_cast<const char*>(&tag), 1));
}

std::string LengthOctets(size_t length) {
  if (length < 0x80) return std::string(1, static_cast<char>(length));
  std::string octets;
  for (; length > 0; length >>= 8) octets.insert(octets.begin(), static_cast<char>(length & 0xff));
  return static_cast<char>(0x80 | octets.size()) + octets;
}

bool AllDigits(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

int Number(std::string_view digits) {
  int value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}

// Calendar fields to Time; nothing when they name no moment.
std::optional<Time> TimeOf(int year, std::string_view mmddhhmmss) {
  auto field = [&](size_t at) { return Number(mmddhhmmss.substr(at, 2)); };
  std::chrono::year_month_day date{std::chrono::year(year),
                                   std::chrono::month(static_cast<unsigned>(field(0))),
                                   std::chrono::day(static_cast<unsigned>(field(2)))};
  int hour = field(4);
  int minute = field(6);
  int second = field(8);
  if (!date.ok() || hour > 23 || minute > 59 || second > 59) return std::nullopt;
  int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  int64_t seconds = days * 86400 + hour * 3600 + minute * 60 + second;
  return FromUnixSeconds(seconds);
}

}  // namespace

bool IsOidContent(std::string_view content) {
  if (content.empty() || (static_cast<uint8_t>(content.back()) & 0x80) != 0) return false;
  // Each arc is minimal: none begins with 0x80.
  bool arc_begins = true;
  for (char c : content) {
    if (arc_begins && c == '\x80') return false;
    arc_begins = (static_cast<uint8_t>(c) & 0x80) == 0;
  }
  return true;
}

Status DerReader::Fail(std::string_view what) const {
  return InvalidArgument("DER: " + std::string(what) + " at offset " +
                         std::to_string(rest_.data() - start_));
}

Result<DerElement> DerReader::ReadAny() {
  if (rest_.size() < 2) return Fail("an element is missing or cut off");
  uint8_t tag = static_cast<uint8_t>(rest_[0]);
  if ((tag & 0x1f) == 0x1f) return Fail("a high tag number");
  size_t length = static_cast<uint8_t>(rest_[1]);
  size_t header = 2;
  if (length >= 0x80) {
    size_t octets = length & 0x7f;
    if (octets == 0) return Fail("an indefinite length");
    if (octets > kLengthOctetsMax || rest_.size() < 2 + octets) return Fail("an impossible length");
    length = 0;
    for (size_t i = 0; i < octets; ++i) {
      length = length << 8 | static_cast<uint8_t>(rest_[2 + i]);
    }
    if (length < 0x80 || rest_[2] == 0) return Fail("a length that is not minimal");
    header += octets;
  }
  if (length > rest_.size() - header) return Fail("an element longer than its surroundings");
  DerElement element{tag, rest_.substr(header, length), rest_.substr(0, header + length)};
  rest_.remove_prefix(header + length);
  return element;
}

Result<DerElement> DerReader::Read(uint8_t tag) {
  if (!NextIs(tag)) {
    return Fail("expected tag " + TagText(tag) + ", found " +
                (rest_.empty() ? "nothing" : TagText(static_cast<uint8_t>(rest_[0]))));
  }
  return ReadAny();
}

Result<DerReader> DerReader::Enter(uint8_t tag) {
  DerElement element = TRY(Read(tag));
  return DerReader(element.content, start_);
}

Result<std::optional<DerElement>> DerReader::ReadOptional(uint8_t tag) {
  if (!NextIs(tag)) return std::optional<DerElement>();
  return std::optional<DerElement>(TRY(ReadAny()));
}

Result<std::string_view> DerReader::ReadInteger() {
  DerReader before = *this;
  std::string_view content = TRY(Read(der::kInteger)).content;
  if (content.empty()) return before.Fail("an empty INTEGER");
  if (content.size() > 1) {
    bool high_bit = (static_cast<uint8_t>(content[1]) & 0x80) != 0;
    bool padded = (content[0] == 0 && !high_bit) || (content[0] == '\xff' && high_bit);
    if (padded) return before.Fail("an INTEGER that is not minimal");
  }
  return content;
}

Result<std::string_view> DerReader::ReadUnsigned() {
  DerReader before = *this;
  std::string_view content = TRY(ReadInteger());
  if ((static_cast<uint8_t>(content[0]) & 0x80) != 0) return before.Fail("a negative INTEGER");
  if (content[0] == 0) content.remove_prefix(1);
  return content;
}

Result<int> DerReader::ReadSmallInteger() {
  DerReader before = *this;
  std::string_view magnitude = TRY(ReadUnsigned());
  if (magnitude.empty()) return 0;
  if (magnitude.size() > 1 || static_cast<uint8_t>(magnitude[0]) > 127) {
    return before.Fail("an INTEGER over 127");
  }
  return static_cast<int>(magnitude[0]);
}

Result<std::string_view> DerReader::ReadOid() {
  DerReader before = *this;
  std::string_view content = TRY(Read(der::kOid)).content;
  if (!IsOidContent(content)) return before.Fail("a broken OBJECT IDENTIFIER");
  return content;
}

Result<bool> DerReader::ReadBoolean() {
  DerReader before = *this;
  std::string_view content = TRY(Read(der::kBoolean)).content;
  if (content != std::string_view("\0", 1) && content != "\xff") {
    return before.Fail("a BOOLEAN that is neither 00 nor ff");
  }
  return content == "\xff";
}

Result<std::string_view> DerReader::ReadBitStringBytes() {
  DerReader before = *this;
  std::string_view content = TRY(Read(der::kBitString)).content;
  if (content.empty() || content[0] != 0) return before.Fail("a BIT STRING that is no whole bytes");
  return content.substr(1);
}

Result<Time> DerReader::ReadTime() {
  DerReader before = *this;
  DerElement element = TRY(ReadAny());
  std::string_view text = element.content;
  bool utc = element.tag == der::kUtcTime;
  if (!utc && element.tag != der::kGeneralizedTime) return before.Fail("expected a time");
  size_t year_digits = utc ? 2 : 4;
  if (text.size() != year_digits + 11 || text.back() != 'Z' ||
      !AllDigits(text.substr(0, text.size() - 1))) {
    return before.Fail("a time that is not in seconds and Zulu");
  }
  int year = Number(text.substr(0, year_digits));
  if (utc) year += year < 50 ? 2000 : 1900;
  std::optional<Time> time = TimeOf(year, text.substr(year_digits));
  if (!time) return before.Fail("a time that does not exist");
  return *time;
}

Status DerReader::Finish() const {
  if (!rest_.empty()) return Fail("unexpected bytes");
  return OkStatus();
}

void DerWriter::InsertLength(size_t start) {
  bytes_.insert(start, LengthOctets(bytes_.size() - start));
}

void DerWriter::Element(uint8_t tag, std::string_view content) {
  bytes_ += static_cast<char>(tag);
  bytes_ += LengthOctets(content.size());
  bytes_ += content;
}

void DerWriter::Unsigned(std::string_view magnitude) {
  while (!magnitude.empty() && magnitude[0] == 0) magnitude.remove_prefix(1);
  bool pad = magnitude.empty() || (static_cast<uint8_t>(magnitude[0]) & 0x80) != 0;
  Nest(der::kInteger, [&] {
    if (pad) bytes_ += '\0';
    bytes_ += magnitude;
  });
}

void DerWriter::SmallInteger(int value) {
  CHECK(value >= 0 && value <= 127);
  char octet = static_cast<char>(value);
  Element(der::kInteger, std::string_view(&octet, 1));
}

void DerWriter::BitStringBytes(std::string_view content) {
  Nest(der::kBitString, [&] {
    bytes_ += '\0';  // no unused bits
    bytes_ += content;
  });
}

void DerWriter::Timestamp(Time t) {
  // "2026-01-31T12:00:00Z" without its marks.
  std::string text = FormatTime(t);
  std::erase_if(text, [](char c) { return c == '-' || c == ':' || c == 'T'; });
  bool utc = text >= "1950" && text < "2050";
  if (utc) text.erase(0, 2);
  Element(utc ? der::kUtcTime : der::kGeneralizedTime, text);
}

}  // namespace writ
