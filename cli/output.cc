// SPDX-License-Identifier: Apache-2.0
#include "cli/output.h"

#include <algorithm>
#include <ostream>

#include "core/base/bytes.h"

namespace writ {
namespace {

constexpr size_t kCellBytesMax = 4096;

std::string Padded(std::string text, size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text;
}

// The largest unit alone: people compare, they do not add.
std::string Roughly(int64_t seconds) {
  if (seconds < 120) return std::to_string(seconds) + "s";
  if (seconds < 2 * 3600) return std::to_string(seconds / 60) + "m";
  if (seconds < 2 * 86400) return std::to_string(seconds / 3600) + "h";
  return std::to_string(seconds / 86400) + "d";
}

}  // namespace

void PrintTable(std::ostream& out, const std::vector<std::string>& header,
                const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths(header.size());
  std::vector<std::vector<std::string>> cells{header};
  for (const auto& row : rows) {
    std::vector<std::string>& safe = cells.emplace_back();
    for (const std::string& cell : row) safe.push_back(Printable(cell, kCellBytesMax));
  }
  for (const auto& row : cells) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const auto& row : cells) {
    for (size_t i = 0; i < row.size(); ++i) {
      bool last = i + 1 == row.size();
      out << (last ? row[i] : Padded(row[i], widths[i]) + "  ");
    }
    out << '\n';
  }
}

void PrintFields(std::ostream& out,
                 const std::vector<std::pair<std::string, std::string>>& fields) {
  size_t width = 0;
  for (const auto& [name, value] : fields) {
    if (!value.empty()) width = std::max(width, name.size());
  }
  for (const auto& [name, value] : fields) {
    if (value.empty()) continue;
    out << Padded(name + ":", width + 2) << Printable(value, kCellBytesMax) << '\n';
  }
}

void PrintJson(std::ostream& out, const Json& value) { out << value.Dump(true) << '\n'; }

std::string Joined(const std::vector<std::string>& parts, const std::string& separator) {
  std::string text;
  for (const std::string& part : parts) {
    if (!text.empty()) text += separator;
    text += part;
  }
  return text;
}

std::string TimeText(int64_t unix_seconds, Time now) {
  if (unix_seconds == 0) return "never";
  int64_t left = unix_seconds - ToUnixSeconds(now);
  std::string distance = left < 0 ? Roughly(-left) + " ago" : "in " + Roughly(left);
  if (left == 0) distance = "now";
  return FormatTime(FromUnixSeconds(unix_seconds)) + " (" + distance + ")";
}

std::string TtlText(int64_t seconds) {
  return seconds == 0 ? "default" : FormatDuration(std::chrono::seconds(seconds));
}

}  // namespace writ
