// SPDX-License-Identifier: Apache-2.0
#include "agent/workload/near_entries.h"

#include <algorithm>
#include <tuple>

namespace writ {
namespace {

std::vector<Selector> MissingOf(const Entry& entry, const Selectors& found) {
  std::vector<Selector> missing;
  for (const Selector& selector : entry.selectors) {
    if (!found.Contains(selector)) missing.push_back(selector);
  }
  return missing;
}

std::string ListOf(const auto& selectors) {
  std::string text;
  for (const Selector& selector : selectors) {
    if (!text.empty()) text += ", ";
    text += selector.text();
  }
  return text;
}

// "path" of "path:/bin/x": selectors of one kind are alternatives.
std::string_view KindOf(const Selector& selector) {
  const std::string_view value = selector.value;
  return value.substr(0, value.find(':'));
}

// Why the process has no such selector.
std::string WhyMissing(const Selector& missing, const Examined& process) {
  for (const AttestorFailure& failure : process.failures) {
    if (failure.attestor == missing.type) {
      return "the attestor " + failure.attestor + " failed: " + failure.status.message();
    }
  }
  if (std::ranges::find(process.attestors, missing.type) == process.attestors.end()) {
    return "no attestor " + missing.type + " runs at this agent";
  }
  std::vector<Selector> others;
  for (const Selector& selector : process.selectors) {
    if (selector.type == missing.type && KindOf(selector) == KindOf(missing)) {
      others.push_back(selector);
    }
  }
  if (!others.empty()) return "it has " + ListOf(others);
  const std::string kind = missing.type + ":" + std::string(KindOf(missing));
  if (kind == "unix:path" || kind == "unix:sha256") {
    return "it has no " + kind +
           " at all; the agent finds it when workload_attestors.unix.discover_workload_path is on";
  }
  return "it has no " + kind + " at all";
}

std::string Explain(const Entry& entry, const std::vector<Selector>& missing,
                    const Examined& process, Time now) {
  const std::string name = "entry " + entry.id;
  if (entry.selectors.empty()) return name + " has no selectors, so it matches nothing";
  if (missing.empty()) {
    if (entry.ExpiredAt(now)) {
      return name + " matches, but expired at " + FormatTime(FromUnixSeconds(entry.expires_at));
    }
    if (entry.store_svid) {
      return name + " matches, but is for a secret store (store_svid), not for the Workload API";
    }
    return name + " matches, but an older entry has the same hint (" + entry.hint + ")";
  }
  std::vector<Selector> shared;
  for (const Selector& selector : entry.selectors) {
    if (process.selectors.Contains(selector)) shared.push_back(selector);
  }
  std::string text = name + " has the selectors " + ListOf(entry.selectors) + ": the process " +
                     (shared.empty() ? "does not have " : "has " + ListOf(shared) + ", not ") +
                     missing.front().text() + " (" + WhyMissing(missing.front(), process) + ")";
  if (missing.size() > 1) {
    text += ", nor " + ListOf(std::vector<Selector>(missing.begin() + 1, missing.end()));
  }
  return text;
}

// For one that lacks nothing: no change of selectors would help it.
std::string RemedyOf(const Entry& entry, Time now) {
  const std::string name = "Entry " + entry.id;
  const std::string update = "`writ entry update --id " + entry.id;
  if (entry.selectors.empty()) {
    return name + " matches nothing: on the server, " + update +
           " --selector TYPE:VALUE` gives it selectors.";
  }
  if (entry.ExpiredAt(now)) {
    return name + " matches, but has expired: if its ID is still due, " + update +
           " --expires-at TIME` on the server gives it a later end (0: none); the server deletes "
           "it within a minute.";
  }
  if (entry.store_svid) {
    return name + " matches, but is for a secret store, and no workload is given such a one: make "
           "one for workloads without --store-svid, or turn it into one on the server: " +
           update + " --store-svid=false`.";
  }
  return name + " matches, but an older entry has the same hint: on the server, " + update +
         " --hint HINT` gives it one of its own.";
}

}  // namespace

std::vector<NearEntry> NearestEntries(const std::vector<PackedEntry>& entries,
                                      const Examined& process, Time now) {
  struct Candidate {
    size_t missing;
    size_t lacks_shared;  // the fewer, the more they share
    const PackedEntry* entry;
    auto operator<=>(const Candidate& other) const {
      return std::tuple(missing, lacks_shared, entry->id()) <=>
             std::tuple(other.missing, other.lacks_shared, other.entry->id());
    }
  };
  std::vector<Candidate> candidates;
  candidates.reserve(entries.size());
  for (const PackedEntry& entry : entries) {
    const std::vector<SelectorView> selectors = entry.selectors();
    const size_t missing = CountMissing(selectors, process.selectors);
    const size_t shared = selectors.size() - missing;
    candidates.push_back({missing, kSelectorsMax - std::min(shared, kSelectorsMax), &entry});
  }
  const size_t count = std::min(candidates.size(), kNearEntriesMax);
  std::partial_sort(candidates.begin(), candidates.begin() + static_cast<ptrdiff_t>(count),
                    candidates.end());
  std::vector<NearEntry> nearest;
  for (size_t i = 0; i < count; ++i) {
    Entry entry = candidates[i].entry->Unpack();
    std::vector<Selector> missing = MissingOf(entry, process.selectors);
    std::string why = Explain(entry, missing, process, now);
    std::string remedy = missing.empty() ? RemedyOf(entry, now) : std::string();
    nearest.push_back({std::move(entry), std::move(missing), std::move(why), std::move(remedy)});
  }
  return nearest;
}

}  // namespace writ
