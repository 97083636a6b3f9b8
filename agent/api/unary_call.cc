// SPDX-License-Identifier: Apache-2.0
#include "agent/api/unary_call.h"

#include <algorithm>
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

Duration TimeLeft(const gpr_timespec& deadline, Time now, Duration at_most) {
  // gRPC's own way to a time point overflows beyond the year 2262, which a caller may name.
  constexpr auto kReach = std::chrono::duration_cast<std::chrono::seconds>(Duration::max());
  const gpr_timespec by_wall_clock = gpr_convert_clock_type(deadline, GPR_CLOCK_REALTIME);
  const std::chrono::seconds whole(by_wall_clock.tv_sec);
  if (whole < std::chrono::seconds::zero() || whole >= kReach) return at_most;
  const Duration since_epoch = whole + std::chrono::nanoseconds(by_wall_clock.tv_nsec);
  return std::clamp(since_epoch - Duration(now.time_since_epoch()), Duration::zero(), at_most);
}

}  // namespace writ
