// SPDX-License-Identifier: Apache-2.0
//
// Calls over a Unix socket in few words.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "bench/load/deployment.h"
#include "core/net/grpc_channel.h"
#include "core/net/grpc_process.h"
#include "core/spiffe/id.h"
#include "spire/api/types/entry.pb.h"

namespace writ {

// A connection of its own: gRPC shares connections between equal channels unless it is told.
inline std::shared_ptr<grpc::Channel> OwnChannel(const std::string& socket) {
  KeepGrpcRunning();
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel("unix:" + socket, grpc::InsecureChannelCredentials(), arguments);
}

inline Status FromCall(const grpc::Status& status) {
  if (status.ok()) return OkStatus();
  return Status(static_cast<Code>(status.error_code()), status.error_message());
}

inline void SetId(const std::string& text, spire::api::types::SPIFFEID* out) {
  Result<SpiffeId> id = SpiffeId::Parse(text);
  if (!id.ok()) return;  // the server says what is wrong with an empty one
  out->set_trust_domain(id->trust_domain().name());
  out->set_path(std::string(id->path()));
}

// Entry number `n` of a run: an ID and a selector of its own, unless `selector` says which.
inline void FillEntry(const Deployment& at, size_t n, const std::string& prefix,
                      const std::string& selector_value, spire::api::types::Entry* entry) {
  SetId("spiffe://" + at.trust_domain + "/" + prefix + "/" + std::to_string(n),
        entry->mutable_spiffe_id());
  SetId(at.parent_id, entry->mutable_parent_id());
  auto* selector = entry->add_selectors();
  selector->set_type("unix");
  selector->set_value(selector_value);
}

}  // namespace writ
