// SPDX-License-Identifier: Apache-2.0
#include "attestors/x509pop/paths.h"

#include <algorithm>

namespace writ {
namespace {

bool Contains(std::span<const Certificate> certificates, const Certificate& wanted) {
  return std::ranges::find(certificates, wanted) != certificates.end();
}

}  // namespace

Result<std::vector<Certificate>> AuthoritiesAbove(std::span<const Certificate> chain,
                                                  std::span<const Certificate> roots, Time now) {
  std::vector<Certificate> above;
  if (!chain.empty() && Contains(roots, chain.front())) {
    TRY(VerifyChain(chain.first(1), roots, now));
    return above;
  }
  for (const std::vector<Certificate>& path : TRY(VerifyEveryPath(chain, roots, now))) {
    for (const Certificate& certificate : std::span(path).subspan(1)) {
      if (!Contains(above, certificate)) above.push_back(certificate);
    }
  }
  return above;
}

}  // namespace writ
