// SPDX-License-Identifier: Apache-2.0
//
// X509-SVID sections 2 to 5.
#include <optional>

#include "core/base/bytes.h"
#include "core/spiffe/svid.h"

namespace writ {
namespace {

// The trust domain of a signing certificate that is itself an SVID, or nothing. URI SANs of other
// schemes say nothing here; a root path ("spiffe://td/") is no path component.
Result<std::optional<TrustDomain>> TrustDomainOfAuthority(const Certificate& certificate) {
  std::optional<TrustDomain> found;
  for (std::string_view uri : certificate.uri_sans()) {
    if (!uri.starts_with("spiffe:")) continue;
    if (found) return InvalidArgument("signing certificate has more than one SPIFFE ID");
    if (uri.ends_with('/')) uri.remove_suffix(1);
    SpiffeId id = TRY(SpiffeId::Parse(uri), "read the SPIFFE ID of a signing certificate");
    if (!id.path().empty()) {
      return InvalidArgument("signing certificate has the SPIFFE ID " + id.text() +
                             ": it must not have a path");
    }
    found = id.trust_domain();
  }
  return found;
}

Status CheckSigning(const Certificate& certificate) {
  if (!certificate.is_ca()) {
    return InvalidArgument("signing certificate " + certificate.SubjectText() +
                           " does not have the CA flag");
  }
  if (!certificate.can_sign_certificates()) {
    return InvalidArgument("signing certificate " + certificate.SubjectText() +
                           " does not have the key usage keyCertSign");
  }
  TRY(TrustDomainOfAuthority(certificate));
  return OkStatus();
}

// A trust anchor is trusted by configuration: only what it does say may forbid signing.
Status CheckRoot(const Certificate& root) {
  if (root.is_ca() && !root.has_key_usage()) {
    TRY(TrustDomainOfAuthority(root));
    return OkStatus();
  }
  return CheckSigning(root);
}

Status CheckPath(std::span<const Certificate> path, const TrustDomain& td) {
  if (path.size() < 2) {
    return InvalidArgument("the leaf itself stands in the bundle: an authority must sign it");
  }
  for (const Certificate& intermediate : path.subspan(1, path.size() - 2)) {
    TRY(CheckSigning(intermediate));
  }
  TRY(CheckRoot(path.back()));
  std::optional<TrustDomain> issuer = TRY(TrustDomainOfAuthority(path[1]));
  if (issuer && *issuer != td) {
    return InvalidArgument("the leaf of trust domain " + td.name() +
                           " is signed by the authority of trust domain " + issuer->name());
  }
  return OkStatus();
}

}  // namespace

Result<SpiffeId> SpiffeIdOf(const Certificate& certificate, std::string_view beside) {
  std::vector<std::string_view> uris;
  const std::string passed_over = std::string(beside) + "://";
  for (const std::string& uri : certificate.uri_sans()) {
    if (beside.empty() || !uri.starts_with(passed_over)) uris.push_back(uri);
  }
  if (uris.size() != 1) {
    return InvalidArgument("expected a certificate with exactly one URI SAN" +
                           (beside.empty() ? "" : " beside those of " + passed_over) + ", got " +
                           std::to_string(uris.size()));
  }
  return TRY(SpiffeId::Parse(uris.front()), "read the URI SAN of a certificate");
}

Result<SpiffeId> CheckX509Leaf(const Certificate& leaf, std::string_view beside) {
  SpiffeId id = TRY(SpiffeIdOf(leaf, beside));
  std::string who = "leaf certificate of " + id.text();
  if (id.path().empty()) return InvalidArgument(who + " must have a SPIFFE ID with a path");
  if (leaf.is_ca()) return InvalidArgument(who + " must not have the CA flag");
  if (!leaf.can_sign_digitally()) {
    return InvalidArgument(who + " must have the key usage digitalSignature");
  }
  if (leaf.can_sign_certificates()) {
    return InvalidArgument(who + " must not have the key usage keyCertSign");
  }
  if (leaf.can_sign_crls()) return InvalidArgument(who + " must not have the key usage cRLSign");
  return id;
}

Status CheckX509Authority(const Certificate& certificate, const TrustDomain& td) {
  TRY(CheckSigning(certificate));
  std::optional<TrustDomain> own = TRY(TrustDomainOfAuthority(certificate));
  if (own && *own != td) {
    return InvalidArgument("signing certificate is of trust domain " + own->name() +
                           ", expected " + td.name());
  }
  return OkStatus();
}

Result<VerifiedX509Svid> VerifyX509Svid(std::span<const Certificate> chain,
                                        std::span<const Bundle> bundles, Time now,
                                        std::string_view beside) {
  if (chain.empty()) return InvalidArgument("certificate chain is empty");
  if (chain.size() > kX509ChainMax) {
    return InvalidArgument("certificate chain has " + std::to_string(chain.size()) +
                           " certificates, more than the " + std::to_string(kX509ChainMax) +
                           " allowed");
  }
  SpiffeId id = TRY(CheckX509Leaf(chain.front(), beside));
  for (const Certificate& intermediate : chain.subspan(1)) TRY(CheckSigning(intermediate));
  for (const Bundle& bundle : bundles) {
    if (!id.MemberOf(bundle.trust_domain)) continue;
    std::vector<Certificate> path =
        TRY(VerifyChain(chain, bundle.X509Roots(), now), "verify the X509-SVID of " + id.text());
    TRY(CheckPath(path, bundle.trust_domain), "verify the X509-SVID of " + id.text());
    return VerifiedX509Svid{std::move(id), std::move(path)};
  }
  return NotFound("no bundle for the trust domain of " + id.text());
}

}  // namespace writ
