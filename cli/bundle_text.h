// SPDX-License-Identifier: Apache-2.0
//
// A bundle as the server's API sends it, read strictly.
#pragma once

#include "core/base/status.h"
#include "core/spiffe/bundle.h"
#include "spire/api/types/bundle.pb.h"

namespace writ {

Result<Bundle> BundleFromMessage(const spire::api::types::Bundle& message);

}  // namespace writ
