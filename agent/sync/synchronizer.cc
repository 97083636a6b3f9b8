// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/synchronizer.h"

#include <map>
#include <optional>
#include <string>
#include <utility>

namespace writ {

Status Synchronizer::Sync(const Bundle& bundle) {
  EntryChanges changes = TRY(options_.server->SyncEntries(*options_.cache));
  bundle_ = std::make_shared<const Bundle>(bundle);
  Apply(std::move(changes));
  return OkStatus();
}

// Of several notices of one entry the last counts.
void Synchronizer::Take(std::vector<Notice> notices) {
  CHECK(bundle_ != nullptr);
  bool bundle_changed = false;
  std::map<std::string, std::optional<PackedEntry>> last;  // none: gone
  for (Notice& notice : notices) {
    CHECK(!notice.resync);
    if (notice.bundle) {
      bundle_ = std::move(notice.bundle);
      bundle_changed = true;
    }
    for (PackedEntry& entry : notice.changes.put) {
      std::string id(entry.id());
      last.insert_or_assign(std::move(id), std::move(entry));
    }
    for (const std::string& id : notice.changes.removed) last.insert_or_assign(id, std::nullopt);
  }
  EntryChanges changes;
  for (auto& [id, entry] : last) {
    if (!entry) {
      if (options_.cache->Find(id) != nullptr) changes.removed.push_back(id);
    } else if (IsNews(*entry)) {
      changes.put.push_back(std::move(*entry));
    }
  }
  if (changes.put.empty() && changes.removed.empty() && !bundle_changed) return;
  Apply(std::move(changes));
}

// A sync may have brought it, or what came after it, already.
bool Synchronizer::IsNews(const PackedEntry& entry) const {
  const PackedEntry* held = options_.cache->Find(entry.id());
  return held == nullptr || held->created_at() != entry.created_at() ||
         held->revision() < entry.revision();
}

void Synchronizer::Apply(EntryChanges changes) {
  const size_t put = changes.put.size();
  const size_t removed = changes.removed.size();
  options_.fetcher->Forget(changes);
  options_.cache->Apply({.put = std::move(changes.put),
                         .removed = std::move(changes.removed),
                         .bundle = bundle_});
  if (put == 0 && removed == 0) return;
  options_.log->Info(
      "Entries changed",
      {{"new_or_updated", put}, {"removed", removed}, {"total", options_.cache->size()}});
}

}  // namespace writ
