// SPDX-License-Identifier: Apache-2.0
#include "core/spiffe/bundle.h"

#include <algorithm>

namespace writ {

std::vector<Certificate> Bundle::X509Roots() const {
  std::vector<Certificate> roots;
  roots.reserve(x509.size());
  for (const X509Authority& authority : x509) roots.push_back(authority.certificate);
  return roots;
}

const JwtAuthority* Bundle::FindJwt(std::string_view key_id) const {
  for (const JwtAuthority& authority : jwt) {
    if (authority.key_id == key_id) return &authority;
  }
  return nullptr;
}

std::string Bundle::X509Der() const {
  std::string der;
  for (const X509Authority& authority : x509) der += authority.certificate.der();
  return der;
}

std::string ToPem(const Bundle& bundle) {
  std::string pem;
  for (const X509Authority& authority : bundle.x509) pem += authority.certificate.ToPem();
  return pem;
}

Result<Bundle> ParseBundleFile(const TrustDomain& td, std::string_view text) {
  size_t start = text.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos) {
    return InvalidArgument("bundle is empty: expected PEM certificates or a SPIFFE JSON document");
  }
  if (text[start] == '{') return FromSpiffeJson(td, text);
  Bundle bundle{.trust_domain = td};
  for (Certificate& certificate : TRY(Certificate::FromPem(text), "read PEM bundle")) {
    X509Authority authority{std::move(certificate)};
    if (std::find(bundle.x509.begin(), bundle.x509.end(), authority) == bundle.x509.end()) {
      bundle.x509.push_back(std::move(authority));
    }
  }
  return bundle;
}

}  // namespace writ
