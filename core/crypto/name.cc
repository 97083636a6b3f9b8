// SPDX-License-Identifier: Apache-2.0
#include "core/crypto/name.h"

#include <algorithm>
#include <array>
#include <optional>

#include "core/base/bytes.h"
#include "core/crypto/der.h"
#include "core/crypto/oid.h"

namespace writ {
namespace {

constexpr size_t kAttributesMax = 100;

struct KnownAttribute {
  std::string_view oid;
  std::string_view name;
};
constexpr std::array<KnownAttribute, 10> kKnown = {{
    {oid::kCommonName, "CN"},
    {oid::kOrganization, "O"},
    {oid::kOrganizationalUnit, "OU"},
    {oid::kCountry, "C"},
    {oid::kLocality, "L"},
    {oid::kState, "ST"},
    {oid::kStreet, "STREET"},
    {oid::kDomainComponent, "DC"},
    {oid::kUserId, "UID"},
    {oid::kSerialNumber, "SERIALNUMBER"},
}};

void AppendUtf8(std::string& text, uint32_t point) {
  auto put = [&](uint32_t octet) { text += static_cast<char>(octet); };
  if (point < 0x80) {
    put(point);
  } else if (point < 0x800) {
    put(0xc0 | point >> 6);
    put(0x80 | (point & 0x3f));
  } else if (point < 0x10000) {
    put(0xe0 | point >> 12);
    put(0x80 | (point >> 6 & 0x3f));
    put(0x80 | (point & 0x3f));
  } else {
    put(0xf0 | point >> 18);
    put(0x80 | (point >> 12 & 0x3f));
    put(0x80 | (point >> 6 & 0x3f));
    put(0x80 | (point & 0x3f));
  }
}

bool IsScalarValue(uint32_t point) {
  return point <= 0x10ffff && (point < 0xd800 || point > 0xdfff);
}

// Big endian code units of 1, 2 or 4 bytes; nothing when one is no Unicode scalar value.
std::optional<std::string> FromWide(std::string_view bytes, size_t width) {
  if (bytes.size() % width != 0) return std::nullopt;
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += width) {
    uint32_t point = 0;
    for (size_t j = 0; j < width; ++j) point = point << 8 | static_cast<uint8_t>(bytes[i + j]);
    if (!IsScalarValue(point)) return std::nullopt;
    AppendUtf8(text, point);
  }
  return text;
}

bool IsAscii(std::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char c) { return c >= 0; });
}

// The text of a string element as UTF-8; nothing when its type is unknown or its bytes do not fit.
std::optional<std::string> StringText(const DerElement& element) {
  switch (element.tag) {
    case der::kUtf8String:
      return IsUtf8(element.content) ? std::optional(std::string(element.content)) : std::nullopt;
    case der::kPrintableString:
    case der::kIa5String:
    case der::kNumericString:
      return IsAscii(element.content) ? std::optional(std::string(element.content)) : std::nullopt;
    case der::kTeletexString:  // Latin-1 in practice, and to OpenSSL
      return FromWide(element.content, 1);
    case der::kBmpString:
      return FromWide(element.content, 2);
    case der::kUniversalString:
      return FromWide(element.content, 4);
    default:
      return std::nullopt;
  }
}

std::string DottedOid(std::string_view oid) {
  std::string text;
  uint64_t arc = 0;
  for (char c : oid) {
    arc = arc << 7 | (static_cast<uint8_t>(c) & 0x7f);
    if ((static_cast<uint8_t>(c) & 0x80) != 0) continue;
    if (text.empty()) {
      uint64_t first = std::min<uint64_t>(arc / 40, 2);
      text = std::to_string(first) + "." + std::to_string(arc - first * 40);
    } else {
      text += "." + std::to_string(arc);
    }
    arc = 0;
  }
  return text;
}

std::string Escaped(std::string_view value) {
  std::string text;
  for (size_t i = 0; i < value.size(); ++i) {
    char c = value[i];
    if (c == '\0') {
      text += "\\00";
      continue;
    }
    bool edge_space = c == ' ' && (i == 0 || i + 1 == value.size());
    bool special = std::string_view("\"+,;<>\\").find(c) != std::string_view::npos;
    if (edge_space || special || (c == '#' && i == 0)) text += '\\';
    text += c;
  }
  return text;
}

std::string AssignmentText(const NameAttribute& attribute) {
  for (const KnownAttribute& known : kKnown) {
    if (known.oid == attribute.oid) {
      return std::string(known.name) + "=" + Escaped(AttributeText(attribute));
    }
  }
  return DottedOid(attribute.oid) + "=#" + HexEncode(attribute.value_der);
}

// PrintableString's characters (X.680): everything else is written as UTF8String.
bool IsPrintableString(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view(" '()+,-./:=?").find(c) != std::string_view::npos;
  });
}

void WriteAttribute(DerWriter& writer, std::string_view oid, std::string_view text) {
  if (text.empty()) return;
  writer.Nest(der::kSet, [&] {
    writer.Nest(der::kSequence, [&] {
      writer.Oid(oid);
      writer.Element(IsPrintableString(text) ? der::kPrintableString : der::kUtf8String, text);
    });
  });
}

}  // namespace

Result<std::vector<NameAttribute>> ParseName(std::string_view der) {
  DerReader outer(der);
  DerReader sequence = TRY(outer.Enter(der::kSequence), "name");
  TRY(outer.Finish(), "name");
  std::vector<NameAttribute> attributes;
  for (size_t rdn = 0; !sequence.AtEnd(); ++rdn) {
    DerReader set = TRY(sequence.Enter(der::kSet), "name");
    do {
      DerReader pair = TRY(set.Enter(der::kSequence), "name attribute");
      std::string_view oid = TRY(pair.ReadOid(), "name attribute");
      DerElement value = TRY(pair.ReadAny(), "name attribute");
      TRY(pair.Finish(), "name attribute");
      if (!StringText(value)) {
        return InvalidArgument("name attribute " + DottedOid(oid) + " is no well-formed string");
      }
      if (attributes.size() == kAttributesMax) {
        return InvalidArgument("a name of more than " + std::to_string(kAttributesMax) +
                               " attributes");
      }
      attributes.push_back({oid, value.whole, rdn});
    } while (!set.AtEnd());
  }
  return attributes;
}

std::string AttributeText(const NameAttribute& attribute) {
  Result<DerElement> element = DerReader(attribute.value_der).ReadAny();
  CHECK(element.ok());
  return StringText(*element).value_or("");
}

std::string NameText(const std::vector<NameAttribute>& attributes) {
  std::string text;
  for (size_t end = attributes.size(); end > 0;) {
    size_t begin = end - 1;
    while (begin > 0 && attributes[begin - 1].rdn == attributes[end - 1].rdn) --begin;
    if (!text.empty()) text += ',';
    for (size_t i = begin; i < end; ++i) {
      if (i > begin) text += '+';
      text += AssignmentText(attributes[i]);
    }
    end = begin;
  }
  return text;
}

std::string CommonNameOf(const std::vector<NameAttribute>& attributes) {
  for (auto it = attributes.rbegin(); it != attributes.rend(); ++it) {
    if (it->oid == oid::kCommonName) return AttributeText(*it);
  }
  return "";
}

std::string WriteName(const Subject& subject) {
  DerWriter writer;
  writer.Nest(der::kSequence, [&] {
    WriteAttribute(writer, oid::kCountry, subject.country);
    WriteAttribute(writer, oid::kOrganization, subject.organization);
    WriteAttribute(writer, oid::kOrganizationalUnit, subject.organizational_unit);
    WriteAttribute(writer, oid::kCommonName, subject.common_name);
    WriteAttribute(writer, oid::kSerialNumber, subject.serial_number);
  });
  return writer.Take();
}

Result<std::string> WithCommonName(std::string_view name_der, std::string_view common_name) {
  std::vector<NameAttribute> attributes = TRY(ParseName(name_der));
  std::erase_if(attributes, [](const NameAttribute& a) { return a.oid == oid::kCommonName; });
  DerWriter writer;
  writer.Nest(der::kSequence, [&] {
    for (size_t i = 0; i < attributes.size();) {
      size_t rdn = attributes[i].rdn;
      writer.Nest(der::kSet, [&] {
        for (; i < attributes.size() && attributes[i].rdn == rdn; ++i) {
          writer.Nest(der::kSequence, [&] {
            writer.Oid(attributes[i].oid);
            writer.Raw(attributes[i].value_der);
          });
        }
      });
    }
    WriteAttribute(writer, oid::kCommonName, common_name);
  });
  return writer.Take();
}

}  // namespace writ
