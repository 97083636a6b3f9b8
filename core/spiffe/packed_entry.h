// SPDX-License-Identifier: Apache-2.0
//
// PackedEntry: an Entry in one block of memory, a tenth of what the Entry takes, for those who hold
// very many. Equal entries have equal blocks. It is made of an Entry, so what it gives back is
// valid.
//
// Threads: a value.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "core/spiffe/entry.h"

namespace writ {

// A selector of somebody else's text.
struct SelectorView {
  std::string_view type;
  std::string_view value;
  auto operator<=>(const SelectorView&) const = default;
};
// How many of these, which are in order, are not among `found`.
size_t CountMissing(const std::vector<SelectorView>& selectors, const Selectors& found);

class PackedEntry {
 public:
  // Implicit: wherever packed ones are taken, a plain one does.
  PackedEntry(const Entry& entry);  // NOLINT(google-explicit-constructor)
  PackedEntry(const PackedEntry& other);
  PackedEntry(PackedEntry&&) noexcept = default;
  PackedEntry& operator=(const PackedEntry& other) { return *this = PackedEntry(other); }
  PackedEntry& operator=(PackedEntry&&) noexcept = default;

  Entry Unpack() const;

  // What is asked often. Views hold as long as this does.
  std::string_view id() const;
  int64_t revision() const;
  int64_t created_at() const;
  int64_t expires_at() const;
  bool store_svid() const;
  bool disable_x509_svid_prefetch() const;
  bool ExpiredAt(Time now) const;
  bool ForNodes() const;  // as Entry::ForNodes()
  SpiffeId spiffe_id() const;
  // In the order of Selectors.
  std::vector<SelectorView> selectors() const;

  friend bool operator==(const PackedEntry& a, const PackedEntry& b) {
    return a.bytes() == b.bytes();
  }

 private:
  class Reader;
  // What comes first; the texts and the rarer numbers follow.
  struct Head {
    uint64_t flags;
    int64_t revision;
    int64_t created_at;
    int64_t expires_at;
  };
  static Head ReadHead(Reader& reader);

  Head head() const;
  std::string_view bytes() const;  // all of it

  std::unique_ptr<char[]> block_;  // null only when moved from
};

// Those that somebody holds, by ID. What this gives stays until its owner changes what it holds.
class HeldEntries {
 public:
  virtual ~HeldEntries() = default;
  virtual size_t size() const = 0;
  virtual const PackedEntry* Find(std::string_view id) const = 0;  // null: there is none
  virtual void ForEach(const std::function<void(const PackedEntry&)>& visit) const = 0;
};

}  // namespace writ
