// SPDX-License-Identifier: Apache-2.0
#include "core/crypto/x509_paths.h"

#include <openssl/x509v3.h>

#include <algorithm>

#include "core/base/bytes.h"
#include "core/crypto/openssl.h"

namespace writ {
namespace {

// Some twenty of one name at each of three steps; more is no PKI.
constexpr size_t kSignatureChecksMax = 64;
// Certificates that are come to, on all ways together. Ten that were honestly made lead 27 ways.
constexpr int kStepsMax = 256;

constexpr size_t kLeaf = 0;  // of the nodes

}  // namespace

Result<PathSearch> PathSearch::Of(std::span<const Certificate> chain,
                                  std::span<const Certificate> roots, Time now) {
  std::vector<Node> nodes;
  // Each certificate once as a root, and once as one that was sent.
  auto add = [&nodes](const Certificate& certificate, bool is_root) -> Status {
    if (certificate.x509() == nullptr) {
      return InvalidArgument((is_root ? "trusted root \"" : "certificate \"") +
                             Printable(certificate.SubjectText()) +
                             "\" cannot be read by OpenSSL");
    }
    const bool is_there = std::ranges::any_of(nodes, [&](const Node& node) {
      return node.is_root == is_root && node.certificate == certificate;
    });
    if (!is_there) nodes.push_back({certificate, is_root});
    return OkStatus();
  };
  TRY(add(chain.front(), std::ranges::find(roots, chain.front()) != roots.end()));
  for (bool wants_valid : {true, false}) {
    for (const Certificate& root : roots) {
      if ((root.not_before() <= now && now <= root.not_after()) == wants_valid) {
        TRY(add(root, true));
      }
    }
  }
  for (const Certificate& other : chain.subspan(1)) {
    if (other != chain.front()) TRY(add(other, false));
  }
  return PathSearch(std::move(nodes));
}

std::vector<std::vector<Certificate>> PathSearch::Run() {
  Path path = {kLeaf};
  if (!FollowTheOnlyWay()) {
    ReachDown();
    Extend(path);
  }
  if (nodes_[kLeaf].is_root && found_.size() < kPathsMax) found_.push_back(CertificatesOf(path));
  return std::move(found_);
}

// By names and key identifiers. False when they leave a choice.
bool PathSearch::FollowTheOnlyWay() {
  longest_ = {kLeaf};
  while (longest_.size() == 1 || !nodes_[longest_.back()].is_root) {
    std::vector<size_t> issuers;
    for (size_t i = kLeaf + 1; i < nodes_.size() && issuers.size() < 2; ++i) {
      if (MayHaveIssued(i, longest_.back())) issuers.push_back(i);
    }
    if (issuers.size() > 1) return false;
    if (issuers.empty() || IsLoop(longest_, issuers.front())) return true;
    longest_.push_back(issuers.front());
  }
  found_.push_back(CertificatesOf(longest_));
  return true;
}

// Finds who has signed what, of all that the roots lead to.
void PathSearch::ReachDown() {
  longest_ = {kLeaf};
  std::vector<size_t> open;
  std::vector<bool> is_reached(nodes_.size());
  for (size_t i = kLeaf + 1; i < nodes_.size(); ++i) {
    if (nodes_[i].is_root) open.push_back(i);
  }
  for (size_t at = 0; at < open.size(); ++at) {
    const size_t issuer = open[at];
    for (size_t child = kLeaf; child < nodes_.size(); ++child) {
      if (child != kLeaf && nodes_[child].is_root) continue;
      if (!MayHaveIssued(issuer, child) || !HasSigned(issuer, child)) continue;
      nodes_[child].issuers.push_back(issuer);
      if (child != kLeaf && !is_reached[child]) open.push_back(child);
      is_reached[child] = true;
    }
  }
}

void PathSearch::Extend(Path& path) {
  if (++steps_ > kStepsMax) {
    is_cut_ = true;
    return;
  }
  const std::vector<size_t>& issuers = nodes_[path.back()].issuers;
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

// By names, key identifiers and kinds of keys. An issuer that must not sign is one nevertheless:
// that the path is invalid then, and why, is said when it is validated.
bool PathSearch::MayHaveIssued(size_t issuer, size_t child) const {
  const Certificate& below = nodes_[child].certificate;
  if (nodes_[issuer].certificate == below) return false;
  const int verdict = X509_check_issued(nodes_[issuer].certificate.x509(), below.x509());
  return verdict == X509_V_OK || verdict == X509_V_ERR_KEYUSAGE_NO_CERTSIGN;
}

// Of certificates with one key, the first answers for all.
bool PathSearch::HasSigned(size_t issuer, size_t child) {
  const PublicKey& key = nodes_[issuer].certificate.public_key();
  for (const Verdict& known : verdicts_) {
    if (known.child == child && nodes_[known.issuer].certificate.public_key() == key) {
      return known.has_signed;
    }
  }
  if (verdicts_.size() == kSignatureChecksMax) {
    is_cut_ = true;
    return false;
  }
  const bool is_right = X509_verify(nodes_[child].certificate.x509(), key.evp()) == 1;
  ERR_clear_error();
  verdicts_.push_back({issuer, child, is_right});
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
  if (is_cut_) return PermissionDenied(where + "too many certificates have its issuer's name");
  if (last.self_signed()) {
    return PermissionDenied(where + "it is self-signed and none of the trusted roots");
  }
  return PermissionDenied(where + "unable to get its issuer's certificate: none of the trusted "
                                  "roots leads to it by the certificates that were sent");
}

}  // namespace writ
