// SPDX-License-Identifier: Apache-2.0
#include "server/api/expires_before.h"

#include <chrono>
#include <string>

#include "core/base/bytes.h"

namespace writ {
namespace {

// Reads `text` against a pattern in which each '#' is a digit of the next number and '+' a sign.
class Fields {
 public:
  bool Match(std::string_view text, std::string_view pattern) {
    if (text.size() != pattern.size()) return false;
    int at = -1;
    char before = 0;
    for (size_t i = 0; i < text.size(); ++i) {
      char c = text[i];
      if (pattern[i] == '#') {
        if (c < '0' || c > '9') return false;
        if (before != '#' && ++at >= kMax) return false;
        numbers[at] = numbers[at] * 10 + (c - '0');
      } else if (pattern[i] == '+') {
        if (c != '+' && c != '-') return false;
        negative = c == '-';
      } else if (c != pattern[i]) {
        return false;
      }
      before = pattern[i];
    }
    return true;
  }

  static constexpr int kMax = 8;
  int numbers[kMax] = {};
  bool negative = false;
};

}  // namespace

Result<int64_t> ParseExpiresBefore(std::string_view text) {
  using namespace std::chrono;
  Fields fields;
  bool matched = fields.Match(text, "####-##-## ##:##:## +#### +##");
  const int* n = fields.numbers;
  year_month_day day{year(n[0]), month(n[1]), std::chrono::day(n[2])};
  if (!matched || !day.ok() || n[3] > 23 || n[4] > 59 || n[5] > 59) {
    return InvalidArgument("malformed by_expires_before filter \"" + Printable(text, 64) +
                           "\": expected a time like \"2026-01-31 12:00:00 +0000 +00\"");
  }
  seconds offset = hours(n[6] / 100) + minutes(n[6] % 100);
  if (fields.negative) offset = -offset;
  sys_seconds moment = sys_days(day) + hours(n[3]) + minutes(n[4]) + seconds(n[5]) - offset;
  return moment.time_since_epoch().count();
}

}  // namespace writ
