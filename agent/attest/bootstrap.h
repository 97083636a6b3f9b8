// SPDX-License-Identifier: Apache-2.0
//
// Bootstrap: where an agent that knows nothing yet takes the trust bundle from: a file (PEM or
// SPIFFE JSON), an https URL with an optional digest pin, or, explicitly, the server itself
// unverified.
//
// Trust: the file is the operator's; what the URL answers is hostile beyond its TLS and the pin.
// Threads: thread-safe, immutable.
#pragma once

#include <functional>
#include <string>

#include "core/base/status.h"
#include "core/spiffe/bundle.h"

namespace writ {

struct BootstrapOptions {
  // Exactly one of these three is set (the configuration sees to it).
  std::string bundle_file;
  std::string bundle_url;
  bool insecure = false;
  // With bundle_url alone.
  std::string ca_file;        // empty: the system's roots
  std::string bundle_sha256;  // hex of the document's digest; empty: not pinned
};

// GET: url, ca_pem (empty: the system's roots), bytes_max.
using HttpFetch =
    std::function<Result<std::string>(const std::string&, const std::string&, size_t)>;

// The bundle of the configured file or URL. FailedPrecondition: a file is missing or malformed, the
// operator has to act; Unavailable: the URL gave nothing of use this time.
Result<Bundle> ReadBootstrapBundle(const BootstrapOptions& options, const TrustDomain& td,
                                   const HttpFetch& fetch);

}  // namespace writ
