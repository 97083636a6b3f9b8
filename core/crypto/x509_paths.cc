// SPDX-License-Identifier: Apache-2.0
#include "core/crypto/x509_paths.h"

#include <openssl/x509v3.h>

#include <algorithm>

#include "core/base/bytes.h"
#include "core/crypto/openssl.h"

namespace writ {
namespace {

// Some twenty of one name at each of three steps; more is no PKI.
constexpr int kSignatureChecksMax = 64;
// Certificates that are come to, on all ways together. Ten that were honestly made lead 27 ways.
constexpr int kStepsMax = 256;

constexpr size_t kLeaf = 0;  // of the nodes

// By names, key identifiers and kinds of keys. An issuer that must not sign is one nevertheless:
// that the path is invalid then, and why, is said when it is validated.
bool MayHaveIssued(const Certificate& issuer, const Certificate& child) {
  const int verdict = X509_check_issued(issuer.x509(), child.x509());
  return verdict == X509_V_OK || verdict == X509_V_ERR_KEYUSAGE_NO_CERTSIGN;
}

}  // namespace

Result<PathSearch> PathSearch::Of(std::span<const Certificate> chain,
                                  std::span<const Certificate> roots) {
  auto check = [](const Certificate& certificate) {
    if (certificate.x509() != nullptr) return OkStatus();
    return InvalidArgument("certificate \"" + Printable(certificate.SubjectText()) +
                           "\" cannot be read by OpenSSL");
  };
  std::vector<Node> nodes;
  for (const Certificate& certificate : chain) TRY(check(certificate));
  nodes.push_back({chain.front(), std::ranges::find(roots, chain.front()) != roots.end()});
  for (const Certificate& root : roots) {
    TRY(check(root), "trusted root");
    nodes.push_back({root, true});
  }
  for (const Certificate& other : chain.subspan(1)) nodes.push_back({other, false});
  return PathSearch(std::move(nodes));
}

std::vector<std::vector<Certificate>> PathSearch::Run() {
  signature_checks_left_ = kSignatureChecksMax;
  steps_left_ = kStepsMax;
  Path path = {kLeaf};
  Extend(path);
  if (nodes_[kLeaf].is_root && found_.size() < kPathsMax) found_.push_back(CertificatesOf(path));
  return std::move(found_);
}

void PathSearch::Extend(Path& path) {
  if (--steps_left_ < 0) return;
  if (path.size() > longest_.size()) longest_ = path;
  const std::vector<size_t>& issuers = IssuersOf(path.back());
  for (size_t issuer : issuers) {
    if (found_.size() == kPathsMax) return;
    if (!nodes_[issuer].is_root || IsLoop(path, issuer)) continue;
    path.push_back(issuer);
    found_.push_back(CertificatesOf(path));
    path.pop_back();
  }
  for (size_t issuer : issuers) {
    if (nodes_[issuer].is_root || IsLoop(path, issuer)) continue;
    path.push_back(issuer);
    Extend(path);
    path.pop_back();
  }
}

const std::vector<size_t>& PathSearch::IssuersOf(size_t child) {
  std::optional<std::vector<size_t>>& known = nodes_[child].issuers;
  if (known) return *known;
  std::vector<size_t> issuers;
  for (size_t i = kLeaf + 1; i < nodes_.size(); ++i) {
    const Node& node = nodes_[i];
    if (node.certificate == nodes_[child].certificate ||
        !MayHaveIssued(node.certificate, nodes_[child].certificate)) {
      continue;
    }
    bool is_new = std::ranges::none_of(issuers, [&](size_t other) {
      return nodes_[other].is_root == node.is_root &&
             nodes_[other].certificate == node.certificate;
    });
    if (is_new) issuers.push_back(i);
  }
  // A signature costs more than all the rest, so it is looked at here only where there is a choice.
  bool is_choice = std::ranges::any_of(issuers, [&](size_t issuer) {
    return nodes_[issuer].certificate != nodes_[issuers.front()].certificate;
  });
  if (is_choice) std::erase_if(issuers, [&](size_t issuer) { return !HasSigned(issuer, child); });
  known = std::move(issuers);
  return *known;
}

bool PathSearch::HasSigned(size_t issuer, size_t child) {
  if (signature_checks_left_ == 0) return false;
  --signature_checks_left_;
  EVP_PKEY* key = nodes_[issuer].certificate.public_key().evp();
  const bool is_right = X509_verify(nodes_[child].certificate.x509(), key) == 1;
  ERR_clear_error();
  return is_right;
}

// No authority vouches for itself by way of others: one is its name and key, however often it was
// certified. A leaf is none, though it may have its issuer's name and key.
bool PathSearch::IsLoop(const Path& path, size_t issuer) const {
  const Certificate& candidate = nodes_[issuer].certificate;
  if (candidate == nodes_[kLeaf].certificate) return true;
  return std::any_of(path.begin() + 1, path.end(), [&](size_t i) {
    const Certificate& authority = nodes_[i].certificate;
    return authority.subject_der() == candidate.subject_der() &&
           authority.public_key() == candidate.public_key();
  });
}

std::vector<Certificate> PathSearch::CertificatesOf(const Path& path) const {
  std::vector<Certificate> certificates;
  for (size_t i : path) certificates.push_back(nodes_[i].certificate);
  return certificates;
}

Status PathSearch::DeadEnd() const {
  const Certificate& last = nodes_[longest_.back()].certificate;
  std::string where = "certificate \"" + Printable(last.SubjectText()) + "\", number " +
                      std::to_string(longest_.size() - 1) + " from the leaf: ";
  if (signature_checks_left_ == 0 || steps_left_ < 0) {
    return PermissionDenied(where + "too many certificates have its issuer's name");
  }
  if (last.self_signed()) {
    return PermissionDenied(where + "it is self-signed and none of the trusted roots");
  }
  return PermissionDenied(where + "unable to get its issuer's certificate: none of the trusted "
                                  "roots and of the certificates that were sent has signed it");
}

}  // namespace writ
