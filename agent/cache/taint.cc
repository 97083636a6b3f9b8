// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "agent/cache/cache.h"
#include "core/crypto/x509.h"

namespace writ {

std::set<std::string> TaintedKeyIds(const Bundle& bundle) {
  std::set<std::string> ids;
  for (const X509Authority& authority : bundle.x509) {
    if (authority.tainted) ids.insert(authority.certificate.subject_key_id());
  }
  return ids;
}

bool RestsOn(const HeldX509& svid, const std::set<std::string>& authority_key_ids) {
  const Result<std::vector<Certificate>> chain = Certificate::ChainFromDer(svid.chain_der);
  if (!chain.ok()) return true;  // what cannot be read is not relied on
  return std::any_of(chain->begin(), chain->end(), [&](const Certificate& certificate) {
    const std::string& id = certificate.authority_key_id();
    return id.empty() ? !authority_key_ids.empty() : authority_key_ids.contains(id);
  });
}

}  // namespace writ
