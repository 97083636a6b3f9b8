// SPDX-License-Identifier: Apache-2.0
#include "core/base/json.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/base/bytes.h"

namespace writ {
namespace {

// Builds a Json from the library's parse events. A false return ends the parse; `error` says why.
class Builder final : public nlohmann::json_sax<nlohmann::json> {
 public:
  bool null() override { return Put(Json()); }
  bool boolean(bool value) override { return Put(Json(value)); }
  bool number_integer(int64_t value) override { return Put(Json(value)); }
  bool number_unsigned(uint64_t value) override { return Put(Json(value)); }
  bool number_float(double value, const std::string&) override { return Put(Json(value)); }
  bool string(std::string& value) override { return Put(Json(std::move(value))); }
  bool binary(binary_t&) override { return Fail("JSON text cannot hold binary values"); }

  bool start_object(size_t) override { return Open(Frame{.is_object = true}); }
  bool start_array(size_t) override { return Open(Frame{.is_object = false}); }
  bool key(std::string& name) override {
    open_.back().name = std::move(name);
    return true;
  }
  bool end_object() override {
    Frame frame = std::move(open_.back());
    open_.pop_back();
    std::vector<std::string_view> names;
    names.reserve(frame.members.size());
    for (const Json::Member& member : frame.members) names.push_back(member.first);
    std::ranges::sort(names);
    auto twice = std::ranges::adjacent_find(names);
    if (twice != names.end()) {
      return Fail("JSON object holds the name `" + Printable(*twice, 64) + "` twice");
    }
    return Put(Json(std::move(frame.members)));
  }
  bool end_array() override {
    Frame frame = std::move(open_.back());
    open_.pop_back();
    return Put(Json(std::move(frame.elements)));
  }

  // The library's message quotes the text, which may be secret: only the place is told.
  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    return Fail("JSON is malformed near byte " + std::to_string(position));
  }

  Json TakeRoot() { return std::move(root_); }
  const std::string& error() const { return error_; }

 private:
  struct Frame {
    bool is_object = false;
    std::string name;  // of the member that comes next
    Json::Object members;
    Json::Array elements;
  };

  bool Open(Frame frame) {
    if (open_.size() == kJsonDepthMax) {
      return Fail("JSON is nested deeper than " + std::to_string(kJsonDepthMax) + " levels");
    }
    open_.push_back(std::move(frame));
    return true;
  }

  bool Put(Json value) {
    if (open_.empty()) {
      root_ = std::move(value);
    } else if (Frame& frame = open_.back(); frame.is_object) {
      frame.members.emplace_back(std::move(frame.name), std::move(value));
    } else {
      frame.elements.push_back(std::move(value));
    }
    return true;
  }

  bool Fail(std::string why) {
    if (error_.empty()) error_ = std::move(why);
    return false;
  }

  std::vector<Frame> open_;
  Json root_;
  std::string error_;
};

// The length of the well-formed UTF-8 sequence at the start of `text`, zero when there is none.
size_t Utf8Length(std::string_view text) {
  auto byte = [text](size_t i) { return static_cast<uint8_t>(text[i]); };
  uint8_t lead = byte(0);
  if (lead < 0x80) return 1;
  size_t length = lead >= 0xc2 && lead < 0xe0 ? 2 : lead >= 0xe0 && lead < 0xf0 ? 3
                  : lead >= 0xf0 && lead < 0xf5 ? 4 : 0;
  if (length == 0 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  // Overlong forms, surrogates and what lies above U+10FFFF.
  if (lead == 0xe0 && byte(1) < 0xa0) return 0;
  if (lead == 0xed && byte(1) >= 0xa0) return 0;
  if (lead == 0xf0 && byte(1) < 0x90) return 0;
  if (lead == 0xf4 && byte(1) >= 0x90) return 0;
  return length;
}

void DumpString(std::string_view text, std::string& out) {
  out += '"';
  while (!text.empty()) {
    char c = text.front();
    size_t length = Utf8Length(text);
    if (length == 0) {
      out += "\xef\xbf\xbd";  // U+FFFD
      length = 1;
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (static_cast<uint8_t>(c) < 0x20 || c == 0x7f) {
      out += "\\u00" + HexEncode(text.substr(0, 1));
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length);
  }
  out += '"';
}

void DumpDouble(double value, std::string& out) {
  if (!std::isfinite(value)) {  // JSON has no word for these
    out += "null";
    return;
  }
  std::array<char, 64> buffer;
  auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  std::string_view text(buffer.data(), static_cast<size_t>(end - buffer.data()));
  out += text;
  if (text.find_first_of(".e") == std::string_view::npos) out += ".0";
}

}  // namespace

// Writes a value as text; `pretty` puts each member and element on a line of its own.
class JsonPrinter {
 public:
  JsonPrinter(bool pretty, std::string& out) : pretty_(pretty), out_(out) {}

  void Print(const Json& json) {
    std::visit([this](const auto& value) { PrintValue(value); }, json.value_);
  }

 private:
  void PrintValue(std::monostate) { out_ += "null"; }
  void PrintValue(bool value) { out_ += value ? "true" : "false"; }
  void PrintValue(int64_t value) { out_ += std::to_string(value); }
  void PrintValue(uint64_t value) { out_ += std::to_string(value); }
  void PrintValue(double value) { DumpDouble(value, out_); }
  void PrintValue(const std::string& value) { DumpString(value, out_); }

  void PrintValue(const Json::Object& object) {
    out_ += '{';
    ++depth_;
    for (size_t i = 0; i < object.size(); ++i) {
      Separate(i);
      DumpString(object[i].first, out_);
      out_ += pretty_ ? ": " : ":";
      Print(object[i].second);
    }
    Close('}', object.empty());
  }

  void PrintValue(const Json::Array& array) {
    out_ += '[';
    ++depth_;
    for (size_t i = 0; i < array.size(); ++i) {
      Separate(i);
      Print(array[i]);
    }
    Close(']', array.empty());
  }

  void Separate(size_t index) {
    if (index > 0) out_ += ',';
    BreakLine();
  }
  void Close(char bracket, bool empty) {
    --depth_;
    if (!empty) BreakLine();
    out_ += bracket;
  }
  void BreakLine() {
    if (!pretty_) return;
    out_ += '\n';
    out_.append(depth_ * 2, ' ');
  }

  const bool pretty_;  // constant after construction
  std::string& out_;
  size_t depth_ = 0;
};

Result<Json> Json::Parse(std::string_view text) {
  // The library takes a NUL byte for the end of the text and would not see what follows.
  if (size_t at = text.find('\0'); at != std::string_view::npos) {
    return InvalidArgument("JSON holds a NUL byte at byte " + std::to_string(at));
  }
  Builder builder;
  if (!nlohmann::json::sax_parse(text.begin(), text.end(), &builder)) {
    return InvalidArgument(builder.error());
  }
  return builder.TakeRoot();
}

std::string Json::Dump(bool pretty) const {
  std::string out;
  JsonPrinter(pretty, out).Print(*this);
  return out;
}

bool Json::IsNumber() const {
  return std::holds_alternative<int64_t>(value_) || std::holds_alternative<uint64_t>(value_) ||
         std::holds_alternative<double>(value_);
}

Result<int64_t> Json::AsInt64() const {
  if (const int64_t* whole = std::get_if<int64_t>(&value_)) return *whole;
  const double* real = std::get_if<double>(&value_);
  // The comparisons are false for a NaN; the upper bound itself is one too many.
  if (real != nullptr && *real >= -0x1p63 && *real < 0x1p63 && std::trunc(*real) == *real) {
    return static_cast<int64_t>(*real);
  }
  return InvalidArgument("JSON value must be a whole number of at most 64 bits");
}

Result<double> Json::AsDouble() const {
  if (const double* real = std::get_if<double>(&value_)) return *real;
  if (const int64_t* whole = std::get_if<int64_t>(&value_)) return static_cast<double>(*whole);
  if (const uint64_t* whole = std::get_if<uint64_t>(&value_)) return static_cast<double>(*whole);
  return InvalidArgument("JSON value must be a number");
}

const Json* Json::Find(std::string_view name) const {
  const Object* object = AsObject();
  if (object == nullptr) return nullptr;
  auto it = std::ranges::find(*object, name, &Member::first);
  return it == object->end() ? nullptr : &it->second;
}

Json& Json::Set(std::string_view name, Json value) {
  Object* object = std::get_if<Object>(&value_);
  CHECK(object != nullptr);
  auto it = std::ranges::find(*object, name, &Member::first);
  if (it == object->end()) {
    object->emplace_back(std::string(name), std::move(value));
  } else {
    it->second = std::move(value);
  }
  return *this;
}

Json& Json::Add(Json value) {
  Array* array = std::get_if<Array>(&value_);
  CHECK(array != nullptr);
  array->push_back(std::move(value));
  return *this;
}

}  // namespace writ
