// SPDX-License-Identifier: Apache-2.0
#include "attestors/node/verifiers.h"

#include <array>

#include "core/base/bytes.h"

namespace writ {
namespace {

using Made = Result<std::unique_ptr<NodeVerifierFactory>>;

struct Row {
  std::string_view type;
  Made (*make)(const NodeVerifierOptions& options, const NodeVerifierNeeds& needs);
};

constexpr std::array kRows = {
    Row{kJoinTokenType,
        [](const NodeVerifierOptions&, const NodeVerifierNeeds& needs) -> Made {
          return MakeJoinTokenVerifier(needs.find_join_token, needs.clock);
        }},
    Row{kX509PopType,
        [](const NodeVerifierOptions& options, const NodeVerifierNeeds& needs) -> Made {
          return MakeX509PopVerifier(
              options.x509pop,
              {needs.trust_domain, needs.roots, needs.clock, needs.random});
        }},
};

const Row* FindRow(std::string_view type) {
  for (const Row& row : kRows) {
    if (row.type == type) return &row;
  }
  return nullptr;
}

}  // namespace

Result<NodeVerifiers> NodeVerifiers::Make(std::span<const std::string> types,
                                          const NodeVerifierOptions& options,
                                          const NodeVerifierNeeds& needs) {
  NodeVerifiers verifiers;
  for (const std::string& type : types) {
    const Row* row = FindRow(type);
    if (row == nullptr) {
      std::string known;
      for (const Row& other : kRows) known += (known.empty() ? "" : ", ") + std::string(other.type);
      return InvalidArgument("there is no node attestor \"" + Printable(type) +
                             "\"; known ones: " + known);
    }
    verifiers.by_type_[type] = TRY(row->make(options, needs), type);
  }
  return verifiers;
}

std::vector<std::string> NodeVerifiers::Types() {
  std::vector<std::string> types;
  for (const Row& row : kRows) types.emplace_back(row.type);
  return types;
}

NodeVerifierFactory* NodeVerifiers::Find(std::string_view type) const {
  auto found = by_type_.find(type);
  return found == by_type_.end() ? nullptr : found->second.get();
}

}  // namespace writ
