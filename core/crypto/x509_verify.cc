// SPDX-License-Identifier: Apache-2.0
//
// Paths are found by PathSearch, and each is validated by OpenSSL as it stands.
#include <openssl/x509v3.h>

#include <algorithm>

#include "core/base/bytes.h"
#include "core/crypto/openssl.h"
#include "core/crypto/x509.h"
#include "core/crypto/x509_paths.h"

namespace writ {
namespace {

// 80 bits of security: no SHA-1 signatures below a root.
constexpr int kSecurityLevel = 1;

// Where one valid path is enough, so many are validated: one that was issued honestly is among the
// first, and to validate takes long where somebody has stuffed certificates with names.
constexpr size_t kLooksForOneMax = 8;

using Path = std::vector<Certificate>;
using NameConstraintsPtr =
    std::unique_ptr<NAME_CONSTRAINTS, OpensslFree<NAME_CONSTRAINTS_free>>;

Status Refusal(const Path& path, int depth, int error) {
  std::string name = "the chain";
  if (depth >= 0 && static_cast<size_t>(depth) < path.size()) {
    name = "certificate \"" + Printable(path[static_cast<size_t>(depth)].SubjectText()) + "\"";
  }
  return PermissionDenied(name + ", number " + std::to_string(depth) +
                          " from the leaf: " + X509_verify_cert_error_string(error));
}

Result<X509OwningStackPtr> MakeStack(const Path& path) {
  X509OwningStackPtr stack(sk_X509_new_null());
  for (const Certificate& certificate : path) {
    X509* x509 = certificate.x509();
    if (!stack || X509_up_ref(x509) != 1) return OpensslFailure("stack certificates");
    if (sk_X509_push(stack.get(), x509) == 0) {
      X509_free(x509);
      return OpensslFailure("stack certificates");
    }
  }
  return stack;
}

// What OpenSSL calls for each finding. It was given a leaf and no roots, so its first one is that
// the leaf leads nowhere: there the path is put in, once, and validation goes on with that.
int PutPathIn(int is_good, X509_STORE_CTX* context) {
  if (is_good == 1) return 1;
  auto& path = *static_cast<X509OwningStackPtr*>(X509_STORE_CTX_get_app_data(context));
  const int error = X509_STORE_CTX_get_error(context);
  const bool is_search_over = error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
                              error == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT;
  if (!path || !is_search_over || X509_STORE_CTX_get_error_depth(context) != 0) return 0;
  X509_STORE_CTX_set0_verified_chain(context, path.release());
  X509_STORE_CTX_set_error(context, X509_V_OK);
  return 1;
}

Status ValidateByOpenssl(const Path& path, Time now) {
  X509StorePtr no_roots(X509_STORE_new());
  X509OwningStackPtr stack = TRY(MakeStack(path));
  X509StoreCtxPtr context(X509_STORE_CTX_new());
  if (!no_roots || !context ||
      X509_STORE_CTX_init(context.get(), no_roots.get(), path.front().x509(), nullptr) != 1 ||
      X509_STORE_CTX_set_app_data(context.get(), &stack) != 1) {
    return OpensslFailure("prepare chain verification");
  }
  X509_STORE_CTX_set_verify_cb(context.get(), PutPathIn);
  X509_VERIFY_PARAM* rules = X509_STORE_CTX_get0_param(context.get());
  // The root is trusted as it stands, self-signed or not; it has to be valid at this time.
  X509_VERIFY_PARAM_set_flags(rules, X509_V_FLAG_PARTIAL_CHAIN);
  X509_VERIFY_PARAM_set_time(rules, ToUnixSeconds(now));
  X509_VERIFY_PARAM_set_depth(rules, kChainLengthMax);
  X509_VERIFY_PARAM_set_auth_level(rules, kSecurityLevel);
  const bool is_valid = X509_verify_cert(context.get()) == 1;
  ERR_clear_error();
  if (!is_valid) {
    return Refusal(path, X509_STORE_CTX_get_error_depth(context.get()),
                   X509_STORE_CTX_get_error(context.get()));
  }
  // Whatever it was that OpenSSL found good, it was not this path.
  if (stack) return Internal("OpenSSL validated a certificate without its path");
  return OkStatus();
}

// RFC 5280 spares self-issued authorities, which it knows by their names alone, when it counts a
// path's length and compares names. Here, as in Go, they are authorities like all others.
Status ValidateSelfIssued(const Path& path) {
  for (size_t i = 1; i < path.size(); ++i) {
    const long below_max = X509_get_pathlen(path[i].x509());
    if (below_max >= 0 && i - 1 > static_cast<size_t>(below_max)) {
      return Refusal(path, static_cast<int>(i), X509_V_ERR_PATH_LENGTH_EXCEEDED);
    }
  }
  for (size_t i = 1; i + 1 < path.size(); ++i) {
    if ((X509_get_extension_flags(path[i].x509()) & EXFLAG_SI) == 0) continue;
    for (size_t above = i + 1; above < path.size(); ++above) {
      NameConstraintsPtr constraints(static_cast<NAME_CONSTRAINTS*>(
          X509_get_ext_d2i(path[above].x509(), NID_name_constraints, nullptr, nullptr)));
      if (!constraints) continue;
      const int verdict = NAME_CONSTRAINTS_check(path[i].x509(), constraints.get());
      if (verdict != X509_V_OK) return Refusal(path, static_cast<int>(i), verdict);
    }
  }
  return OkStatus();
}

Result<std::vector<Path>> Verify(std::span<const Certificate> chain,
                                 std::span<const Certificate> roots, Time now, size_t paths_max) {
  if (chain.empty()) return InvalidArgument("there is no certificate to verify");
  if (chain.size() > static_cast<size_t>(kChainLengthMax)) {
    return InvalidArgument("a chain of " + std::to_string(chain.size()) +
                           " certificates; at most " + std::to_string(kChainLengthMax) +
                           " are accepted");
  }
  PathSearch search = TRY(PathSearch::Of(chain, roots, now));
  std::vector<Path> valid;
  Status refusal;
  size_t looks_left = paths_max == 1 ? kLooksForOneMax : kPathsMax;
  for (Path& path : search.Run()) {
    if (looks_left-- == 0) break;
    Status verdict = ValidateByOpenssl(path, now);
    if (verdict.ok()) verdict = ValidateSelfIssued(path);
    if (verdict.ok()) valid.push_back(std::move(path));
    if (valid.size() == paths_max) break;
    if (refusal.ok()) refusal = verdict;
  }
  if (!valid.empty()) return valid;
  if (refusal.ok()) return search.DeadEnd();
  return refusal;
}

}  // namespace

Result<std::vector<Certificate>> VerifyChain(std::span<const Certificate> chain,
                                             std::span<const Certificate> roots, Time now) {
  return TRY(Verify(chain, roots, now, 1)).front();
}

Result<std::vector<std::vector<Certificate>>> VerifyEveryPath(std::span<const Certificate> chain,
                                                              std::span<const Certificate> roots,
                                                              Time now) {
  return Verify(chain, roots, now, kPathsMax);
}

}  // namespace writ
