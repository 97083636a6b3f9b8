// SPDX-License-Identifier: Apache-2.0
//
// FakeHeldEntries: entries of which only the versions matter.
#pragma once

#include <initializer_list>
#include <map>
#include <string>

#include "core/spiffe/packed_entry.h"

namespace writ {

class FakeHeldEntries final : public HeldEntries {
 public:
  struct Version {
    std::string id;
    int64_t revision = 0;
    int64_t created_at = 1;
  };
  FakeHeldEntries(std::initializer_list<Version> versions = {}) {
    for (const Version& version : versions) {
      const SpiffeId any = ServerId(*TrustDomain::Parse("example.org"));
      entries_.emplace(version.id, Entry{.id = version.id,
                                         .spiffe_id = any,
                                         .parent_id = any,
                                         .revision = version.revision,
                                         .created_at = version.created_at});
    }
  }

  size_t size() const override { return entries_.size(); }
  const PackedEntry* Find(std::string_view id) const override {
    auto at = entries_.find(id);
    return at == entries_.end() ? nullptr : &at->second;
  }
  void ForEach(const std::function<void(const PackedEntry&)>& visit) const override {
    for (const auto& [id, entry] : entries_) visit(entry);
  }

 private:
  std::map<std::string, PackedEntry, std::less<>> entries_;
};

}  // namespace writ
