// SPDX-License-Identifier: Apache-2.0
//
// PathSearch: the paths from a leaf to trusted roots. Whether a path is valid is decided elsewhere
// (x509_verify.cc): this only says which ones to look at.
//
// OpenSSL's own search is not used: it takes a certificate as self-signed, and the path as ended,
// when subject and issuer are equal and there is no authority key ID. Go leaves that ID out where
// the two names are equal (both may be empty), whoever signed.
//
// Mostly, names and key identifiers leave one way only. Where they leave a choice, signatures
// decide, from the roots down: a key verifies something only if it is a root's, or one that a root
// leads to. A stranger's chain costs no more than the roots' own keys take, whatever keys and names
// it has.
//
// Trust: the chain is hostile, the roots are configuration. All work is limited. Threads: one at a
// time.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/crypto/x509.h"

namespace writ {

class PathSearch {
 public:
  // A leaf, then intermediates in any order. Roots that are valid at `now` are tried before others.
  // InvalidArgument when OpenSSL cannot read one of them.
  static Result<PathSearch> Of(std::span<const Certificate> chain,
                               std::span<const Certificate> roots, Time now);

  // Leaf first, root last, at most kPathsMax; shorter ones first where there is a choice. A leaf
  // that is itself a root is a path too, the last. Called once.
  std::vector<std::vector<Certificate>> Run();
  // Once Run has found nothing: where the way ended, and why.
  Status DeadEnd() const;
  size_t signature_checks() const { return verdicts_.size(); }

 private:
  struct Node {
    Certificate certificate;
    bool is_root;
    std::vector<size_t> issuers = {};  // that have signed it, for all that is known
  };
  struct Verdict {
    size_t issuer;
    size_t child;
    bool has_signed;
  };
  using Path = std::vector<size_t>;  // of nodes_

  explicit PathSearch(std::vector<Node> nodes) : nodes_(std::move(nodes)) {}
  bool FollowTheOnlyWay();
  void ReachDown();
  void Extend(Path& path);
  bool MayHaveIssued(size_t issuer, size_t child) const;
  bool HasSigned(size_t issuer, size_t child);
  bool IsLoop(const Path& path, size_t issuer) const;
  std::vector<Certificate> CertificatesOf(const Path& path) const;

  std::vector<Node> nodes_;  // the leaf, the roots, the other certificates of the chain
  std::vector<Verdict> verdicts_;
  int steps_ = 0;
  bool is_cut_ = false;  // there was more to look at than is allowed
  std::vector<std::vector<Certificate>> found_;
  Path longest_;
};

}  // namespace writ
