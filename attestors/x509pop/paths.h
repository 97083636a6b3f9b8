// SPDX-License-Identifier: Apache-2.0
//
// AuthoritiesAbove: every certificate that vouches for a leaf. Where authorities are cross-signed,
// a leaf has more than one valid path to a root, and a node is known by all of them.
//
// Trust: the chain is hostile; its paths are limited (kPathsMax). Threads: a free function.
#pragma once

#include <span>
#include <vector>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/crypto/x509.h"

namespace writ {

// `chain`: the leaf, then intermediates in any order. Each certificate above the leaf on a valid
// path to one of `roots`, once; none when the leaf is a root itself. PermissionDenied when no path
// is valid.
Result<std::vector<Certificate>> AuthoritiesAbove(std::span<const Certificate> chain,
                                                  std::span<const Certificate> roots, Time now);

}  // namespace writ
