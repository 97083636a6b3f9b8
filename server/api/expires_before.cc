// SPDX-License-Identifier: Apache-2.0
#include "server/api/expires_before.h"

#include <chrono>
#include <optional>
#include <string>

#include "core/base/bytes.h"

namespace writ {
namespace {

constexpr size_t kNanosecondDigits = 9;  // what is behind them counts for nothing

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Reads the text from left to right; the first thing that is not as it should be ends all reading.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : rest_(text) {}

  bool failed() const { return failed_; }
  bool AtEnd() const { return rest_.empty(); }

  int Number(size_t digits_min, size_t digits_max, int least, int most) {
    size_t digits = 0;
    int number = 0;
    for (; digits < digits_max && digits < rest_.size() && IsDigit(rest_[digits]); ++digits) {
      number = number * 10 + (rest_[digits] - '0');
    }
    rest_.remove_prefix(digits);
    failed_ |= digits < digits_min || number < least || number > most;
    return number;
  }
  void Literal(char c) {
    failed_ |= rest_.empty() || rest_.front() != c;
    if (!failed_) rest_.remove_prefix(1);
  }
  void Spaces() {
    Literal(' ');
    while (rest_.starts_with(' ')) rest_.remove_prefix(1);
  }
  // "+" or "-": 1 or -1.
  int Sign() {
    const int sign = rest_.starts_with('-') ? -1 : 1;
    Literal(sign < 0 ? '-' : '+');
    return sign;
  }
  // Where there is one: whether it is more than nothing.
  bool Fraction() {
    const bool there =
        rest_.size() >= 2 && (rest_[0] == '.' || rest_[0] == ',') && IsDigit(rest_[1]);
    if (!there) return false;
    rest_.remove_prefix(1);
    bool some = false;
    for (size_t at = 0; !rest_.empty() && IsDigit(rest_.front()); ++at) {
      some |= at < kNanosecondDigits && rest_.front() != '0';
      rest_.remove_prefix(1);
    }
    return some;
  }

 private:
  std::string_view rest_;
  bool failed_ = false;
};

std::optional<int64_t> Read(std::string_view text) {
  using namespace std::chrono;
  Cursor cursor(text);
  const year y(cursor.Number(4, 4, 0, 9999));
  cursor.Literal('-');
  const month m(static_cast<unsigned>(cursor.Number(2, 2, 1, 12)));
  cursor.Literal('-');
  const day d(static_cast<unsigned>(cursor.Number(2, 2, 1, 31)));
  cursor.Spaces();
  const hours hour(cursor.Number(1, 2, 0, 23));
  cursor.Literal(':');
  const minutes minute(cursor.Number(2, 2, 0, 59));
  cursor.Literal(':');
  const seconds second(cursor.Number(2, 2, 0, 59));
  // What ends in this very second has ended before its fraction.
  const seconds begun(cursor.Fraction() ? 1 : 0);
  cursor.Spaces();
  const int sign = cursor.Sign();
  const hours offset_hours(cursor.Number(2, 2, 0, 24));
  const minutes offset_minutes(cursor.Number(2, 2, 0, 60));
  // The same offset once more, without its minutes.
  cursor.Spaces();
  cursor.Sign();
  cursor.Number(2, 2, 0, 24);
  const year_month_day date = y / m / d;
  if (cursor.failed() || !cursor.AtEnd() || !date.ok()) return std::nullopt;
  const sys_seconds moment =
      sys_days(date) + hour + minute + second + begun - sign * (offset_hours + offset_minutes);
  return moment.time_since_epoch().count();
}

}  // namespace

Result<int64_t> ParseExpiresBefore(std::string_view text) {
  if (const std::optional<int64_t> moment = Read(text)) return *moment;
  return InvalidArgument("malformed by_expires_before filter \"" + Printable(text, 64) +
                         "\": expected a time like \"2026-01-31 12:00:00 +0000 +00\"");
}

}  // namespace writ
