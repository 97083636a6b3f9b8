// SPDX-License-Identifier: Apache-2.0
//
// PathSearch: the paths from a leaf to trusted roots that names and key identifiers allow. Whether
// a path is valid is decided elsewhere (x509_verify.cc): this only says which ones to look at.
//
// OpenSSL's own search is not used: it takes a certificate as self-signed, and the path as ended,
// when subject and issuer are equal and there is no authority key ID. Go leaves that ID out where
// the two names are equal (both may be empty), whoever signed.
//
// Trust: the chain is hostile, the roots are configuration. Names may all be the same: then
// signatures decide, and all work is limited. Threads: one at a time.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/crypto/x509.h"

namespace writ {

class PathSearch {
 public:
  // A leaf, then intermediates in any order. InvalidArgument when OpenSSL cannot read one of them.
  static Result<PathSearch> Of(std::span<const Certificate> chain,
                               std::span<const Certificate> roots);

  // Leaf first, root last, at most kPathsMax; shorter ones first where there is a choice. A leaf
  // that is itself a root is a path too, the last.
  std::vector<std::vector<Certificate>> Run();
  // Once Run has found nothing: where the longest way ended, and why.
  Status DeadEnd() const;

 private:
  struct Node {
    Certificate certificate;
    bool is_root;
    std::optional<std::vector<size_t>> issuers = {};  // once they were looked for
  };
  using Path = std::vector<size_t>;  // of nodes_

  explicit PathSearch(std::vector<Node> nodes) : nodes_(std::move(nodes)) {}
  void Extend(Path& path);
  const std::vector<size_t>& IssuersOf(size_t child);
  bool HasSigned(size_t issuer, size_t child);
  bool IsLoop(const Path& path, size_t issuer) const;
  std::vector<Certificate> CertificatesOf(const Path& path) const;

  std::vector<Node> nodes_;  // the leaf, the roots, the other certificates of the chain
  // Of one Run.
  int signature_checks_left_ = 0;
  int steps_left_ = 0;
  std::vector<std::vector<Certificate>> found_;
  Path longest_;
};

}  // namespace writ
