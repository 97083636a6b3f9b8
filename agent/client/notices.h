// SPDX-License-Identifier: Apache-2.0
//
// FollowNotices: the server's stream of notices from the agent's side.
//
// Trust: the messages are hostile. A malformed entry is logged and counts as gone, as a sync leaves
// it out; a malformed bundle ends the stream. Threads: a free function, which blocks; what it waits
// for is read by gRPC's own threads (docs/decisions/0007 says why).
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "agent/client/server_api.h"
#include "writ/v1/notices.grpc.pb.h"

namespace writ {

// Of an authority that BundleFromProto() left out.
void WarnOfAuthority(const std::string& why, Log& log);

// Fails for a malformed bundle alone.
Result<Notice> NoticeFromProto(const writ::v1::Notice& proto, const TrustDomain& td, Log& log);

// What a stream runs on. Where `over` stops and gRPC has not told of the stream's end, which it
// loses when a read begins as the connection ends, the stream is left behind with the first two.
struct NoticesCall {
  std::shared_ptr<grpc::Channel> channel;
  std::shared_ptr<grpc::ClientContext> context;
  std::stop_token over;
};

// Until the stream ends; the failure is one of what came, or the server's.
Status FollowNotices(const NoticesCall& call, uint64_t after, const TrustDomain& td, Log& log,
                     const std::function<void(Notice)>& on_notice);

}  // namespace writ
