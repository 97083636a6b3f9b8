// SPDX-License-Identifier: Apache-2.0
//
// Json: a JSON value of our own, so that the library's costly header stays in json.cc. Objects keep
// the order in which members were added (stable output); parsing refuses duplicate names, invalid
// UTF-8, more than 32 levels and trailing text.
//
// Trust: Parse takes hostile text. Threads: values.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/status.h"

namespace writ {

inline constexpr size_t kJsonDepthMax = 32;

class Json {
 public:
  using Array = std::vector<Json>;
  using Member = std::pair<std::string, Json>;
  using Object = std::vector<Member>;

  Json() = default;  // null
  Json(bool value) : value_(value) {}                       // NOLINT: implicit on purpose
  Json(int value) : value_(int64_t{value}) {}               // NOLINT
  Json(int64_t value) : value_(value) {}                    // NOLINT
  Json(uint64_t value) {                                    // NOLINT
    // One representation for each number, so that equality means what it says.
    if (value <= INT64_MAX) {
      value_ = static_cast<int64_t>(value);
    } else {
      value_ = value;
    }
  }
  Json(double value) : value_(value) {}                     // NOLINT
  Json(const char* value) : value_(std::string(value)) {}   // NOLINT
  Json(std::string_view value) : value_(std::string(value)) {}  // NOLINT
  Json(std::string value) : value_(std::move(value)) {}     // NOLINT
  Json(Array value) : value_(std::move(value)) {}           // NOLINT
  Json(Object value) : value_(std::move(value)) {}          // NOLINT

  static Json MakeObject() { return Json(Object{}); }
  static Json MakeArray() { return Json(Array{}); }

  static Result<Json> Parse(std::string_view text);
  // Compact, or with two spaces of indent and line breaks. Invalid UTF-8 is replaced.
  std::string Dump(bool pretty = false) const;

  bool IsNull() const { return std::holds_alternative<std::monostate>(value_); }
  bool IsObject() const { return std::holds_alternative<Object>(value_); }
  bool IsArray() const { return std::holds_alternative<Array>(value_); }
  bool IsString() const { return std::holds_alternative<std::string>(value_); }
  bool IsBool() const { return std::holds_alternative<bool>(value_); }
  bool IsNumber() const;

  // Null pointers where the value is of another type.
  const Object* AsObject() const { return std::get_if<Object>(&value_); }
  const Array* AsArray() const { return std::get_if<Array>(&value_); }
  const std::string* AsString() const { return std::get_if<std::string>(&value_); }
  const bool* AsBool() const { return std::get_if<bool>(&value_); }
  // Whole numbers, also those written like 1.7e9; InvalidArgument for anything else.
  Result<int64_t> AsInt64() const;
  Result<double> AsDouble() const;

  // The member, or null pointer (also when this is no object).
  const Json* Find(std::string_view name) const;
  // Adds or replaces a member; this must be an object.
  Json& Set(std::string_view name, Json value);
  // Appends; this must be an array.
  Json& Add(Json value);

  friend bool operator==(const Json&, const Json&) = default;

 private:
  friend class JsonPrinter;
  std::variant<std::monostate, bool, int64_t, uint64_t, double, std::string, Array, Object> value_;
};

}  // namespace writ
