// SPDX-License-Identifier: Apache-2.0
#include "agent/api/unary_call.h"

#include <iterator>

namespace writ {
namespace {

constexpr char kSecurityHeader[] = "workload.spiffe.io";

}  // namespace

Status CheckSecurityHeader(const grpc::CallbackServerContext& context) {
  const auto [begin, end] = context.client_metadata().equal_range(kSecurityHeader);
  if (begin == end) {
    return InvalidArgument("security header missing from request: expected the metadata "
                           "workload.spiffe.io with the value true");
  }
  if (std::next(begin) != end || begin->second != "true") {
    return InvalidArgument("security header malformed: expected the metadata workload.spiffe.io "
                           "exactly once, with the value true");
  }
  return OkStatus();
}

}  // namespace writ
