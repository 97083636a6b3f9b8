// SPDX-License-Identifier: Apache-2.0
#include "attestors/node/provers.h"

#include <array>

namespace writ {
namespace {

using Made = Result<std::unique_ptr<NodeProverFactory>>;

struct Row {
  std::string_view type;
  Made (*make)(const NodeProverOptions& options, Random* random);
};

constexpr std::array kRows = {
    Row{kJoinTokenType,
        [](const NodeProverOptions& options, Random*) -> Made {
          return MakeJoinTokenProver(options.join_token.Clone());
        }},
    Row{kX509PopType,
        [](const NodeProverOptions& options, Random* random) -> Made {
          return MakeX509PopProver(options.x509pop, random);
        }},
};

}  // namespace

std::vector<std::string> NodeProverTypes() {
  std::vector<std::string> types;
  for (const Row& row : kRows) types.emplace_back(row.type);
  return types;
}

Result<std::unique_ptr<NodeProverFactory>> MakeNodeProver(std::string_view type,
                                                          const NodeProverOptions& options,
                                                          Random* random) {
  for (const Row& row : kRows) {
    if (row.type == type) return TRY(row.make(options, random), std::string(type));
  }
  return InvalidArgument("there is no node attestor \"" + std::string(type) + "\"");
}

}  // namespace writ
