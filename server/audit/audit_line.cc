// SPDX-License-Identifier: Apache-2.0
#include "server/audit/audit_line.h"

#include <algorithm>
#include <iterator>

#include "core/base/bytes.h"

namespace writ {
namespace {

constexpr size_t kFieldBytesMax = 4096;  // four of them, escaped, fit a line
constexpr std::string_view kFixedNames[] = {"time", "action", "outcome", "actor", "subject"};

std::string Bounded(const std::string& field) {
  return field.size() <= kFieldBytesMax ? field : Printable(field, kFieldBytesMax / 4);
}

bool IsFixedName(const std::string& name) {
  return std::ranges::find(kFixedNames, name) != std::end(kFixedNames);
}

}  // namespace

std::string AuditLine(const AuditEvent& event, Time now) {
  Json::Object fixed = {{"time", FormatTime(now)},
                        {"action", Bounded(event.action)},
                        {"outcome", Bounded(event.outcome)},
                        {"actor", Bounded(event.actor)},
                        {"subject", Bounded(event.subject)}};
  Json::Object whole = fixed;
  for (const Json::Member& detail : event.details) {
    CHECK(!IsFixedName(detail.first));
    whole.push_back(detail);
  }
  std::string line = Json(std::move(whole)).Dump() + "\n";
  if (line.size() <= kAuditLineBytesMax) return line;
  fixed.emplace_back("details_omitted", true);
  line = Json(std::move(fixed)).Dump() + "\n";
  CHECK(line.size() <= kAuditLineBytesMax);
  return line;
}

}  // namespace writ
