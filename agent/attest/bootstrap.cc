// SPDX-License-Identifier: Apache-2.0
#include "agent/attest/bootstrap.h"

#include "core/base/bytes.h"
#include "core/base/file.h"
#include "core/crypto/digest.h"

namespace writ {
namespace {

constexpr size_t kBundleBytesMax = 4 << 20;

Status OperatorMustAct(const Status& status, const std::string& deed) {
  return FailedPrecondition(status.message()).Annotate(deed);
}

Result<Bundle> Parse(const TrustDomain& td, const std::string& text) {
  Bundle bundle = TRY(ParseBundleFile(td, text));
  if (bundle.x509.empty()) return InvalidArgument("it holds no X.509 authority");
  return bundle;
}

Status CheckDigest(const std::string& text, const std::string& expected_hex) {
  if (expected_hex.empty()) return OkStatus();
  std::string expected = TRY(HexDecode(expected_hex), "server.bundle_sha256");
  if (Sha256(text) == expected) return OkStatus();
  return InvalidArgument("its SHA-256 is " + HexEncode(Sha256(text)) +
                         ", server.bundle_sha256 says " + HexEncode(expected));
}

Result<Bundle> FromFile(const BootstrapOptions& options, const TrustDomain& td) {
  std::string text = TRY(ReadFile(options.bundle_file, kBundleBytesMax));
  return Parse(td, text);
}

Result<Bundle> FromUrl(const BootstrapOptions& options, const TrustDomain& td,
                       const std::string& ca_pem, const HttpFetch& fetch) {
  std::string text = TRY(fetch(options.bundle_url, ca_pem, kBundleBytesMax));
  TRY(CheckDigest(text, options.bundle_sha256));
  return Parse(td, text);
}

}  // namespace

Result<Bundle> ReadBootstrapBundle(const BootstrapOptions& options, const TrustDomain& td,
                                   const HttpFetch& fetch) {
  if (!options.bundle_file.empty()) {
    Result<Bundle> bundle = FromFile(options, td);
    if (bundle.ok()) return bundle;
    return OperatorMustAct(bundle.status(),
                           "read the trust bundle from server.bundle_file " + options.bundle_file);
  }
  CHECK(!options.bundle_url.empty());
  std::string ca_pem;
  if (!options.ca_file.empty()) {
    Result<std::string> text = ReadFile(options.ca_file, kBundleBytesMax);
    if (!text.ok()) return OperatorMustAct(text.status(), "read server.ca_file");
    ca_pem = std::move(text).value();
  }
  Result<Bundle> bundle = FromUrl(options, td, ca_pem, fetch);
  if (bundle.ok()) return bundle;
  return Unavailable(bundle.status().message())
      .Annotate("fetch the trust bundle from " + options.bundle_url);
}

}  // namespace writ
