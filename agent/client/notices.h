// SPDX-License-Identifier: Apache-2.0
//
// FollowNotices: the server's stream of notices from the agent's side.
//
// Trust: the messages are hostile. A malformed entry counts as gone, as a sync leaves it out; a
// malformed bundle ends the stream. Threads: a free function, which blocks; what it waits for is
// read by gRPC's own threads (docs/decisions/0007 says why).
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>

#include "agent/client/server_api.h"
#include "agent/client/server_faults.h"
#include "writ/v1/notices.grpc.pb.h"

namespace writ {

// Fails for a malformed bundle alone.
Result<Notice> NoticeFromProto(const writ::v1::Notice& proto, const TrustDomain& td,
                               ServerFaults& faults);

// Until the stream ends; the failure is one of what came, or the server's.
Status FollowNotices(writ::v1::Notices::Stub& server, grpc::ClientContext& context, uint64_t after,
                     const TrustDomain& td, ServerFaults& faults,
                     const std::function<void(Notice)>& on_notice);

}  // namespace writ
