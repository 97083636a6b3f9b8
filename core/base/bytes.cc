// SPDX-License-Identifier: Apache-2.0
#include "core/base/bytes.h"

#include <array>
#include <cstdint>

namespace writ {
namespace {

constexpr std::string_view kHex = "0123456789abcdef";
constexpr std::string_view kStandard =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kUrl =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

constexpr std::array<int8_t, 256> ReverseOf(std::string_view alphabet) {
  std::array<int8_t, 256> reverse{};
  for (int8_t& value : reverse) value = -1;
  for (size_t i = 0; i < alphabet.size(); ++i) {
    reverse[static_cast<uint8_t>(alphabet[i])] = static_cast<int8_t>(i);
  }
  return reverse;
}

std::string Encode(std::string_view bytes, std::string_view alphabet, bool pad) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    size_t count = std::min<size_t>(3, bytes.size() - i);
    uint32_t group = 0;
    for (size_t j = 0; j < 3; ++j) {
      group = group << 8 | (j < count ? static_cast<uint8_t>(bytes[i + j]) : 0);
    }
    for (size_t j = 0; j < 4; ++j) {
      if (j <= count) {
        text += alphabet[group >> (18 - 6 * j) & 63];
      } else if (pad) {
        text += '=';
      }
    }
  }
  return text;
}

Result<std::string> Decode(std::string_view text, const std::array<int8_t, 256>& reverse,
                           std::string_view name) {
  if (text.size() % 4 == 1) {
    return InvalidArgument(std::string(name) + " text has an impossible length of " +
                           std::to_string(text.size()) + " characters");
  }
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3 + 2);
  uint32_t bits = 0;
  int held = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    int value = reverse[static_cast<uint8_t>(text[i])];
    if (value < 0) {
      return InvalidArgument(std::string(name) + " text has a foreign character at offset " +
                             std::to_string(i));
    }
    bits = bits << 6 | static_cast<uint32_t>(value);
    held += 6;
    if (held >= 8) {
      held -= 8;
      bytes += static_cast<char>(bits >> held & 0xff);
    }
  }
  if ((bits & ((1u << held) - 1)) != 0) {
    return InvalidArgument(std::string(name) + " text has stray bits at its end");
  }
  return bytes;
}

// How many bytes the character that begins with `lead` has; 0 when none begins so.
size_t Utf8Size(uint8_t lead) {
  if (lead < 0x80) return 1;
  if (lead >> 5 == 0b110) return 2;
  if (lead >> 4 == 0b1110) return 3;
  return lead >> 3 == 0b11110 ? 4 : 0;
}

}  // namespace

std::string HexEncode(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (char c : bytes) {
    text += kHex[static_cast<uint8_t>(c) >> 4];
    text += kHex[static_cast<uint8_t>(c) & 15];
  }
  return text;
}

Result<std::string> HexDecode(std::string_view text) {
  if (text.size() % 2 != 0) return InvalidArgument("hex text has an odd number of digits");
  std::string bytes;
  bytes.reserve(text.size() / 2);
  for (size_t i = 0; i < text.size(); i += 2) {
    int high = HexValue(text[i]);
    int low = HexValue(text[i + 1]);
    if (high < 0 || low < 0) {
      return InvalidArgument("hex text has a foreign character near offset " + std::to_string(i));
    }
    bytes += static_cast<char>(high << 4 | low);
  }
  return bytes;
}

std::string Base64Encode(std::string_view bytes) { return Encode(bytes, kStandard, true); }

Result<std::string> Base64Decode(std::string_view text) {
  static constexpr auto kReverse = ReverseOf(kStandard);
  if (text.size() % 4 != 0) {
    return InvalidArgument("base64 text must be padded to a multiple of 4 characters");
  }
  for (int i = 0; i < 2 && text.ends_with('='); ++i) text.remove_suffix(1);
  return Decode(text, kReverse, "base64");
}

std::string Base64UrlEncode(std::string_view bytes) { return Encode(bytes, kUrl, false); }

Result<std::string> Base64UrlDecode(std::string_view text) {
  static constexpr auto kReverse = ReverseOf(kUrl);
  return Decode(text, kReverse, "base64url");
}

std::string Printable(std::string_view text, size_t length_max) {
  std::string safe;
  for (size_t i = 0; i < text.size(); ++i) {
    if (i == length_max) return safe + "...";
    char c = text[i];
    if (c == '\\') {
      safe += "\\\\";
    } else if (c >= 0x20 && c < 0x7f) {
      safe += c;
    } else {
      safe += std::string("\\x") + kHex[static_cast<uint8_t>(c) >> 4] +
              kHex[static_cast<uint8_t>(c) & 15];
    }
  }
  return safe;
}

bool IsUtf8(std::string_view bytes) {
  for (size_t i = 0; i < bytes.size();) {
    uint8_t lead = static_cast<uint8_t>(bytes[i]);
    size_t size = Utf8Size(lead);
    if (size == 0 || i + size > bytes.size()) return false;
    uint32_t point = size == 1 ? lead : lead & (0x7f >> size);
    for (size_t j = 1; j < size; ++j) {
      uint8_t next = static_cast<uint8_t>(bytes[i + j]);
      if (next >> 6 != 2) return false;
      point = point << 6 | (next & 0x3f);
    }
    constexpr std::array<uint32_t, 5> kLeast = {0, 0, 0x80, 0x800, 0x10000};
    const bool surrogate = point >= 0xd800 && point <= 0xdfff;
    if (point < kLeast[size] || point > 0x10ffff || surrogate) return false;
    i += size;
  }
  return true;
}

}  // namespace writ
