// SPDX-License-Identifier: Apache-2.0
//
// ReadNotices: the server's stream of notices from the agent's side.
//
// Trust: the messages are hostile. A malformed entry is logged and counts as gone, as a sync leaves
// it out; a malformed bundle ends the stream. Threads: a free function.
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>

#include "agent/client/server_api.h"
#include "writ/v1/notices.grpc.pb.h"

namespace writ {

// Until the stream ends; a failure is one of what came.
Status ReadNotices(grpc::ClientReaderInterface<writ::v1::Notice>& stream, const TrustDomain& td,
                   Log& log, const std::function<void(Notice)>& on_notice);

}  // namespace writ
