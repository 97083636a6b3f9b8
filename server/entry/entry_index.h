// SPDX-License-Identifier: Apache-2.0
//
// EntryIndex: all entries, compactly, as a graph: each SPIFFE ID is one node that knows the entries
// below it (whose parent it is) and those that give it out (its holders). Entries are linked into
// both lists in place, so that adding and removing one costs the same whatever there is.
//
// Threads: as its owner. Lifetime: nodes hold until the entry goes.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "core/spiffe/entry.h"
#include "server/entry/registry.h"
#include "server/entry/selector_pool.h"

namespace writ {

class EntryIndex {
 public:
  // What few entries have.
  struct Rare {
    std::string hint;
    std::vector<std::string> dns_names;
    std::vector<std::string> federates_with;  // sorted
  };
  struct Record;
  using Node = std::pair<const std::string, Record>;  // the entry's ID and the rest
  struct Links {
    uint32_t children = 0;         // how many entries' parent this is
    uint32_t holders = 0;          // how many entries' SPIFFE ID this is
    Node* first_child = nullptr;   // the first of the children
    Node* first_holder = nullptr;  // the first of the holders
  };
  using IdNode = std::pair<const SpiffeId, Links>;
  struct Neighbors {
    Node* previous = nullptr;
    Node* next = nullptr;
  };
  struct Record {
    IdNode* spiffe_id = nullptr;
    IdNode* parent = nullptr;
    Neighbors siblings;   // in the parent's list of children
    Neighbors coholders;  // in the SPIFFE ID's list of holders
    SelectorPool::Set selectors;
    int64_t expires_at = 0;
    int64_t revision = 0;
    int64_t created_at = 0;
    int64_t ordinal = 0;
    int32_t x509_ttl_seconds = 0;
    int32_t jwt_ttl_seconds = 0;
    bool admin = false;
    bool downstream = false;
    bool store_svid = false;
    bool has_additional_attributes = false;
    bool disable_x509_svid_prefetch = false;
    bool jwt_svid_include_jti = false;
    std::unique_ptr<Rare> rare;  // null: all empty
    bool ExpiredAt(int64_t now) const { return expires_at != 0 && now > expires_at; }
  };

  EntryIndex(const TrustDomain& td, SelectorPool& pool) : server_id_(ServerId(td)), pool_(pool) {}
  ~EntryIndex();
  EntryIndex(const EntryIndex&) = delete;
  EntryIndex& operator=(const EntryIndex&) = delete;

  void Put(Entry entry);
  void Remove(std::string_view id);
  size_t size() const { return entries_.size(); }

  std::optional<Entry> Get(std::string_view id) const;
  // Matching entries in the order of creation, behind the ordinal `after`, at most `limit`.
  std::vector<Entry> List(const EntryFilter& filter, int64_t after, size_t limit) const;
  size_t Count(const EntryFilter& filter) const;
  // In the order of creation.
  std::vector<Entry> HoldersOf(const SpiffeId& id) const;

  // The entries that an agent with these selectors is authorized for, in ID order. An expired entry
  // is not among them and passes nothing on.
  std::vector<const Node*> Authorized(const SpiffeId& agent, const SelectorPool::Set& selectors,
                                      int64_t now) const;
  // The same answer for one entry, found by walking up from it.
  std::optional<Entry> AuthorizedEntry(const SpiffeId& agent, const SelectorPool::Set& selectors,
                                       std::string_view id, int64_t now) const;

  // As Registry::VisitAuthorized().
  size_t VisitAuthorized(const SpiffeId& agent, const SelectorPool::Set& selectors,
                         std::span<const std::string> ids, int64_t now,
                         const std::function<bool(const Entry&)>& visit) const;

  // From whom an entry comes down: the IDs above it, and the selectors of the aliases that lead to
  // it, expired ones too. Nothing when it is not there.
  struct Ancestry {
    std::vector<const SpiffeId*> ids;
    std::vector<const SelectorPool::Set*> aliases;
  };
  Ancestry AncestryOf(std::string_view id) const;
  // Adds the IDs of all entries below a SPIFFE ID, expired ones too; false when there would be more
  // than `size_max`.
  bool CollectBelow(const SpiffeId& id, size_t size_max,
                    std::unordered_set<std::string>& entry_ids) const;
  // Of the aliases that an agent with these selectors has: whether some have ended, and when the
  // first of the others ends (0: never).
  struct AliasEnds {
    bool some_ended = false;
    int64_t next = 0;
  };
  AliasEnds AliasEndsOf(const SelectorPool::Set& selectors, int64_t now) const;

 private:
  struct Query;  // a filter in terms of the nodes
  using Entries = std::map<std::string, Record, std::less<>>;
  struct Older {
    using is_transparent = void;
    bool operator()(const Node* a, const Node* b) const {
      if (a->second.ordinal != b->second.ordinal) return a->second.ordinal < b->second.ordinal;
      return a->first < b->first;  // of a store that was written by hand
    }
    bool operator()(int64_t ordinal, const Node* node) const {
      return ordinal < node->second.ordinal;
    }
    bool operator()(const Node* node, int64_t ordinal) const {
      return node->second.ordinal < ordinal;
    }
  };
  Entries::iterator Remove(Entries::iterator it);  // the next
  IdNode* NodeOf(SpiffeId id) { return &*ids_.try_emplace(std::move(id)).first; }
  void RemoveUnused(const IdNode* node);
  const IdNode* Find(const SpiffeId& id) const;
  bool IsAlias(const Record& record) const { return record.parent->first == server_id_; }
  void AddAlias(const Node* node);
  void RemoveAlias(const Node* node);
  // Those that an agent with these selectors has, expired ones too.
  std::vector<const Node*> AliasesOf(const SelectorPool::Set& selectors) const;
  std::vector<const IdNode*> Starts(const SpiffeId& agent, const SelectorPool::Set& selectors,
                                    int64_t now) const;
  bool LeadsUpTo(const IdNode* first, const SpiffeId& agent, const SelectorPool::Set& selectors,
                 int64_t now) const;
  std::optional<Query> Resolve(const EntryFilter& filter) const;
  static bool Matches(const Record& record, const Query& query);
  // Visits matching entries behind `after`, in the order of creation, until `visit` returns false.
  void VisitInOrder(const Query& query, int64_t after,
                    const std::function<bool(const Node&)>& visit) const;
  // Visits all matching entries, in no order, by the shortest list that holds them all.
  void VisitAll(const Query& query, const std::function<void(const Node&)>& visit) const;

  const SpiffeId server_id_;
  SelectorPool& pool_;
  Entries entries_;
  std::set<const Node*, Older> by_age_;
  std::unordered_map<SpiffeId, Links> ids_;
  // Each alias under one of its selectors, that which has the fewest: an agent looks at those of
  // its own selectors only.
  std::unordered_map<const SelectorPool::Node*, std::unordered_set<const Node*>> aliases_;
};

}  // namespace writ
