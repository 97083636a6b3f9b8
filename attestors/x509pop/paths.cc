// SPDX-License-Identifier: Apache-2.0
#include "attestors/x509pop/paths.h"

#include <algorithm>

namespace writ {
namespace {

constexpr int kSearchStepsMax = 256;

using Path = std::vector<Certificate>;

bool Contains(std::span<const Certificate> certificates, const Certificate& wanted) {
  return std::ranges::find(certificates, wanted) != certificates.end();
}

// By name and key identifier; whether the signature is right is seen when the path is verified.
bool MayBeIssuedBy(const Certificate& child, const Certificate& parent) {
  if (child.issuer_der() != parent.subject_der()) return false;
  return child.authority_key_id().empty() || parent.subject_key_id().empty() ||
         child.authority_key_id() == parent.subject_key_id();
}

// Every path from the end of `path` through `intermediates` to a root, leaf first. `steps_left`
// bounds the search where all names are the same.
void Collect(Path& path, std::span<const Certificate> intermediates,
             std::span<const Certificate> roots, int& steps_left, std::vector<Path>& found) {
  if (--steps_left < 0) return;
  const Certificate last = path.back();
  for (const Certificate& root : roots) {
    if (found.size() == kPopPathsMax) return;
    if (!MayBeIssuedBy(last, root) || Contains(path, root)) continue;
    found.push_back(path);
    found.back().push_back(root);
  }
  for (const Certificate& intermediate : intermediates) {
    if (!MayBeIssuedBy(last, intermediate) || Contains(path, intermediate)) continue;
    path.push_back(intermediate);
    Collect(path, intermediates, roots, steps_left, found);
    path.pop_back();
  }
}

}  // namespace

Result<std::vector<Certificate>> AuthoritiesAbove(std::span<const Certificate> chain,
                                                  std::span<const Certificate> roots, Time now) {
  std::vector<Certificate> above;
  if (!chain.empty() && Contains(roots, chain.front())) {
    TRY(VerifyChain(chain.first(1), roots, now));
    return above;
  }
  std::vector<Path> candidates;
  if (!chain.empty()) {
    Path path = {chain.front()};
    int steps_left = kSearchStepsMax;
    Collect(path, chain.subspan(1), roots, steps_left, candidates);
  }
  for (const Path& candidate : candidates) {
    std::span<const Certificate> all(candidate);
    Result<std::vector<Certificate>> verified =
        VerifyChain(all.first(all.size() - 1), all.last(1), now);
    if (!verified.ok()) continue;
    for (const Certificate& certificate : std::span(*verified).subspan(1)) {
      if (!Contains(above, certificate)) above.push_back(certificate);
    }
  }
  if (!above.empty()) return above;
  // Not one path holds: what is wrong with the chain as it came.
  Path verified = TRY(VerifyChain(chain, roots, now));
  return Path(verified.begin() + 1, verified.end());
}

}  // namespace writ
