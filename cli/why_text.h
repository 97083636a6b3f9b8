// SPDX-License-Identifier: Apache-2.0
//
// The answers to `writ why`, for people and as JSON. Pure.
#pragma once

#include <iosfwd>

#include "core/base/clock.h"
#include "core/base/json.h"
#include "writ/v1/why.pb.h"

namespace writ {

void PrintWorkload(std::ostream& out, const v1::ExplainWorkloadResponse& answer, Time now);
Json WorkloadJson(const v1::ExplainWorkloadResponse& answer);

void PrintIdentity(std::ostream& out, const v1::ExplainIdentityResponse& answer, Time now);
Json IdentityJson(const v1::ExplainIdentityResponse& answer);

}  // namespace writ
