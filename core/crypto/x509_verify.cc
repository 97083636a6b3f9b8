// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "core/base/bytes.h"
#include "core/crypto/openssl.h"
#include "core/crypto/x509.h"

namespace writ {
namespace {

// 80 bits of security: no SHA-1 signatures below a root.
constexpr int kSecurityLevel = 1;

Result<X509*> Parsed(const Certificate& certificate) {
  X509* x509 = certificate.x509();
  if (x509 == nullptr) {
    return InvalidArgument("certificate \"" + Printable(certificate.SubjectText()) +
                           "\" cannot be read by OpenSSL");
  }
  return x509;
}

Result<X509StorePtr> MakeStore(std::span<const Certificate> roots) {
  X509StorePtr store(X509_STORE_new());
  if (!store) return OpensslFailure("make certificate store");
  for (const Certificate& root : roots) {
    if (X509_STORE_add_cert(store.get(), TRY(Parsed(root), "trusted root")) != 1) {
      return OpensslFailure("add trusted root");
    }
  }
  return store;
}

Result<X509StackPtr> MakeStack(std::span<const Certificate> certificates) {
  X509StackPtr stack(sk_X509_new_null());
  for (const Certificate& certificate : certificates) {
    if (!stack || sk_X509_push(stack.get(), TRY(Parsed(certificate))) == 0) {
      return OpensslFailure("stack certificates");
    }
  }
  return stack;
}

Status FailureOf(X509_STORE_CTX* context) {
  int error = X509_STORE_CTX_get_error(context);
  std::string name = "the chain";
  if (X509* current = X509_STORE_CTX_get_current_cert(context)) {
    Result<Certificate> certificate = Certificate::FromX509(current);
    if (certificate.ok()) name = "certificate \"" + Printable(certificate->SubjectText()) + "\"";
  }
  ERR_clear_error();
  return PermissionDenied(name + ", number " +
                          std::to_string(X509_STORE_CTX_get_error_depth(context)) +
                          " from the leaf: " + X509_verify_cert_error_string(error));
}

// The caller's own values for the objects of the path, so that nothing is parsed again.
Result<std::vector<Certificate>> PathOf(X509_STORE_CTX* context, std::span<const Certificate> chain,
                                        std::span<const Certificate> roots) {
  std::vector<Certificate> path;
  STACK_OF(X509)* verified = X509_STORE_CTX_get0_chain(context);
  for (int i = 0; i < sk_X509_num(verified); ++i) {
    X509* x509 = sk_X509_value(verified, i);
    auto is_it = [&](const Certificate& certificate) { return certificate.x509() == x509; };
    auto in_chain = std::find_if(chain.begin(), chain.end(), is_it);
    auto in_roots = std::find_if(roots.begin(), roots.end(), is_it);
    CHECK(in_chain != chain.end() || in_roots != roots.end());
    path.push_back(in_chain != chain.end() ? *in_chain : *in_roots);
  }
  return path;
}

}  // namespace

Result<std::vector<Certificate>> VerifyChain(std::span<const Certificate> chain,
                                             std::span<const Certificate> roots, Time now) {
  if (chain.empty()) return InvalidArgument("there is no certificate to verify");
  if (chain.size() > static_cast<size_t>(kChainLengthMax)) {
    return InvalidArgument("a chain of " + std::to_string(chain.size()) +
                           " certificates; at most " + std::to_string(kChainLengthMax) +
                           " are accepted");
  }
  X509StorePtr store = TRY(MakeStore(roots));
  X509StackPtr others = TRY(MakeStack(chain.subspan(1)));
  X509StoreCtxPtr context(X509_STORE_CTX_new());
  if (!context ||
      X509_STORE_CTX_init(context.get(), store.get(), TRY(Parsed(chain[0])), others.get()) != 1) {
    return OpensslFailure("prepare chain verification");
  }
  X509_VERIFY_PARAM* rules = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_flags(rules, X509_V_FLAG_PARTIAL_CHAIN);
  X509_VERIFY_PARAM_set_time(rules, ToUnixSeconds(now));
  X509_VERIFY_PARAM_set_depth(rules, kChainLengthMax);
  X509_VERIFY_PARAM_set_auth_level(rules, kSecurityLevel);
  if (X509_verify_cert(context.get()) != 1) return FailureOf(context.get());
  return PathOf(context.get(), chain, roots);
}

}  // namespace writ
