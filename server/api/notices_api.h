// SPDX-License-Identifier: Apache-2.0
//
// NoticesApi: the streams on which agents hear of changes (proto/writ/v1/notices.proto). One thread
// fills and sends for all of them, one message at a time for each: a stream that nobody reads from
// holds one message and a bounded queue, delays neither writers nor other streams, and is ended
// after a while.
//
// The caller is authorized again before each message, and as soon as its agent changes: one that is
// banned, deleted or expired loses its stream.
//
// Threads: thread-safe. Lifetime: outlives the servers that its service is in; what the options
// borrow outlives it.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>

#include "core/base/clock.h"
#include "core/net/metrics.h"
#include "server/api/front.h"
#include "server/entry/agent_feed.h"
#include "server/store/store.h"
#include "writ/v1/notices.pb.h"

namespace writ {

namespace notices_pb = writ::v1;

// A stream is never silent for longer.
inline constexpr Duration kNoticeEvery = std::chrono::seconds(30);

struct NoticesOptions {
  TrustDomain trust_domain;
  AgentFeeds* feeds;  // all borrowed
  BundleStore* bundles;
  const Authorization* authorization;
  Metrics* metrics;
  Clock* clock;
};

class NoticesApi {
 public:
  static std::unique_ptr<NoticesApi> Make(NoticesOptions options);
  virtual ~NoticesApi() = default;

  virtual grpc::ServerWriteReactor<notices_pb::Notice>* Follow(
      Front* front, const MethodRow* row, grpc::CallbackServerContext* context,
      const notices_pb::FollowRequest& request) = 0;
  // Ends all streams and takes no new ones: the server is stopping.
  virtual void EndStreams() = 0;
};

}  // namespace writ
