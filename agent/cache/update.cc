// SPDX-License-Identifier: Apache-2.0
#include "agent/cache/update.h"

#include <algorithm>
#include <map>
#include <string>
#include <tuple>

namespace writ {
namespace {

bool SameX509(const std::shared_ptr<const HeldX509>& a, const std::shared_ptr<const HeldX509>& b) {
  return a == b || (a && b && a->chain_der == b->chain_der);
}

bool SameIdentity(const Identity& a, const Identity& b) {
  return SameX509(a.x509, b.x509) &&
         (a.entry == b.entry ||
          (a.entry->id == b.entry->id && a.entry->spiffe_id == b.entry->spiffe_id &&
           a.entry->hint == b.entry->hint &&
           a.entry->jwt_svid_include_jti == b.entry->jwt_svid_include_jti));
}

}  // namespace

bool SameBundle(const std::shared_ptr<const Bundle>& a, const std::shared_ptr<const Bundle>& b) {
  if (a == b) return true;
  if (!a || !b) return false;
  auto same_x509 = [](const X509Authority& x, const X509Authority& y) {
    return x.certificate == y.certificate;
  };
  auto same_jwt = [](const JwtAuthority& x, const JwtAuthority& y) {
    return x.key_id == y.key_id && x.key == y.key;
  };
  return std::equal(a->x509.begin(), a->x509.end(), b->x509.begin(), b->x509.end(), same_x509) &&
         std::equal(a->jwt.begin(), a->jwt.end(), b->jwt.begin(), b->jwt.end(), same_jwt);
}

bool SameUpdate(const WorkloadUpdate& a, const WorkloadUpdate& b) {
  return a.state == b.state && SameBundle(a.bundle, b.bundle) &&
         std::equal(a.identities.begin(), a.identities.end(), b.identities.begin(),
                    b.identities.end(), SameIdentity);
}

bool IsTrusted(const Bundle& bundle, const HeldJwt& jwt) {
  const JwtAuthority* authority = bundle.FindJwt(jwt.key_id);
  return authority != nullptr && !authority->tainted;
}

void KeepHintsUnique(std::vector<Identity>& matches) {
  std::map<std::string, const Entry*> holders;
  for (const Identity& match : matches) {
    const Entry* entry = match.entry.get();
    if (entry->hint.empty()) continue;
    const Entry*& holder = holders.try_emplace(entry->hint, entry).first->second;
    if (std::tie(entry->created_at, entry->id) < std::tie(holder->created_at, holder->id)) {
      holder = entry;
    }
  }
  std::erase_if(matches, [&holders](const Identity& match) {
    return !match.entry->hint.empty() && holders[match.entry->hint] != match.entry.get();
  });
}

}  // namespace writ
